import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type EventDescription, eventPatternPattern, eventTable, matchesEvent } from '@gatehouse/contracts';
import { eventNames, eventOf, hears, type Listener, type RelayedEntry, unknownPatterns } from './event-rules.ts';

/** Actions that are no events, and why. */
const notTold: Readonly<Record<string, string>> = {
  'token.issued': 'thousands a second',
  'token.exchanged': 'thousands a second; secret.released says what matters',
  'session.refreshed': 'thousands a second',
  'configuration.secrets_delivered': 'once for each agent and version; configuration.published says what matters',
};

const entry = (more: Partial<RelayedEntry['entry']> = {}): RelayedEntry['entry'] => ({
  version: 1,
  id: 'audit_01abc',
  at: '2026-01-01T00:00:00.000Z',
  action: 'user.created',
  organization: 'acme',
  actor: { type: 'user', id: 'u1' },
  target: { type: 'user', id: 'u2' },
  outcome: 'success',
  reason: 'CANARY reason',
  address: '192.0.2.1',
  user_agent: 'CANARY agent',
  details: { roles: ['admin'], username: 'CANARY name', password: 'CANARY password' },
  sequence: 7,
  ...more,
});

test('a payload has what the table names, and nothing else of the entry', () => {
  const event = eventOf(entry());
  assert.equal(event.id, 'evt_01abc');
  assert.deepEqual(JSON.parse(event.body), {
    type: 'user.created',
    timestamp: '2026-01-01T00:00:00.000Z',
    data: {
      entry: 'audit_01abc',
      sequence: 7,
      organization: 'acme',
      actor: { type: 'user', id: 'u1' },
      target: { type: 'user', id: 'u2' },
      outcome: 'success',
      roles: ['admin'],
    },
  });
  for (const name of eventNames) {
    const { body } = eventOf(entry({ action: name }));
    assert.ok(!body.includes('CANARY'), name);
  }
});

test('who rotated a key is the operators’ matter; everybody hears that it was', () => {
  const rotated = entry({ action: 'keys.rotated', organization: 'gatehouse', details: { jwks: { keys: [] } } });
  assert.deepEqual(JSON.parse(eventOf(rotated).body).data.actor, undefined);
  assert.deepEqual(JSON.parse(eventOf(rotated).body).data.jwks, { keys: [] });
  const listener = (more: Partial<Listener>): Listener => ({
    id: 'wh_1',
    organization: 'acme',
    events: ['*'],
    enabled: true,
    fromPosition: 10n,
    ...more,
  });
  const at = (position: bigint, one = entry()) => ({ position, entry: one });
  assert.ok(hears(listener({}), at(11n)));
  assert.ok(!hears(listener({}), at(10n)), 'written before the webhook listened');
  assert.ok(!hears(listener({ organization: 'globex' }), at(11n)), 'another organization’s');
  assert.ok(hears(listener({ organization: 'globex' }), at(11n, rotated)));
  const own = entry({ action: 'keys.rotated', organization: 'acme' });
  assert.ok(
    !hears(listener({ organization: 'globex' }), at(11n, own)),
    'a keyring of one organization is its own matter',
  );
  assert.ok(hears(listener({ organization: 'gatehouse' }), at(11n)));
  assert.ok(!hears(listener({ events: ['session.*', 'user.renamed'] }), at(11n)));
  assert.ok(!hears(listener({}), at(11n, entry({ action: 'token.issued' }))));
});

test('patterns', () => {
  assert.ok(matchesEvent('user.*', 'user.created'));
  assert.ok(!matchesEvent('user.*', 'users.created'));
  assert.ok(!matchesEvent('us.*', 'user.created'));
  assert.ok(!matchesEvent('user', 'user.created'));
  assert.deepEqual(unknownPatterns(['*', 'user.*', 'user.exploded', 'nobody.*', 'keys.rotated']), [
    'user.exploded',
    'nobody.*',
  ]);
  const form = new RegExp(eventPatternPattern);
  for (const bad of ['', '**', '*.created', 'user.*.x', 'User.*', 'user.**', 'user.', '.*', 'user.created ']) {
    assert.ok(!form.test(bad), bad);
  }
  for (const name of eventNames) assert.match(name, form);
});

test('every action that a module records is an event or said not to be one', () => {
  const modules = join(import.meta.dirname, '../..');
  const files = readdirSync(modules, { recursive: true, encoding: 'utf8' }).filter(
    (file) => file.endsWith('.ts') && !/\.test\.ts$|-fixture\.ts$/.test(file),
  );
  const forms = [
    /\baction: '([a-z_]+\.[a-z_]+)'/g,
    /\brecord\(\s*tx,\s*'([a-z_]+\.[a-z_]+)'/g,
    /\brecord\(\s*tx,\s*[^',]* \? '([a-z_]+\.[a-z_]+)'/g,
    /\brecord\(\s*tx,\s*[^',]* \? '[a-z_.]+' : '([a-z_]+\.[a-z_]+)'/g,
  ];
  const actions = new Set(
    files
      .map((file) => readFileSync(join(modules, file), 'utf8'))
      .flatMap((text) => forms.flatMap((form) => [...text.matchAll(form)].map((match) => match[1] ?? ''))),
  );
  assert.ok(actions.size > 30, `only ${actions.size} actions were found`);
  const unknown = [...actions].filter((action) => !Object.hasOwn(eventTable, action) && !(action in notTold));
  assert.deepEqual(unknown.sort(), []);
});

test('no detail takes the place of what each event has', () => {
  const own = ['entry', 'sequence', 'organization', 'actor', 'target', 'outcome'];
  for (const [name, { data }] of Object.entries<EventDescription>(eventTable)) {
    assert.deepEqual(
      data.filter((field) => own.includes(field)),
      [],
      name,
    );
  }
});
