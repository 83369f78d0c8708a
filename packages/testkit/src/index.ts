/**
 * What tests stand on: a fresh real database for each test file, a clock that stands still, chance that repeats itself.
 * Imported by tests only.
 */

export { createFakeClock, type FakeClock } from './fake-clock.ts';
export { createSeededRandom, type SeededRandom } from './seeded-random.ts';
export {
  createEmptyTestDatabase,
  createTestDatabase,
  type TestDatabase,
  type TestDatabaseOptions,
} from './test-database.ts';
