/** Checks of public points. All numbers here are public. */
import { littleEndianToBigInt } from './bytes.ts';

/** The NIST curves in use, y² = x³ - 3x + b mod p (FIPS 186-5, SP 800-186 §3.2.1). Cofactor 1. */
const nistCurves = {
  'P-256': {
    bytes: 32,
    p: 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n,
    b: 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn,
  },
  'P-384': {
    bytes: 48,
    p: 2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n,
    b: 0xb3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aefn,
  },
  'P-521': {
    bytes: 66,
    p: 2n ** 521n - 1n,
    b: 0x051953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e937b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b503f00n,
  },
} as const;

/** Length in bytes of each coordinate (RFC 7518 §6.2.1.2). */
export function nistCoordinateBytes(curve: keyof typeof nistCurves): number {
  return nistCurves[curve].bytes;
}

/** True if (x, y) satisfies the curve's equation with reduced coordinates. */
export function isOnNistCurve(curve: keyof typeof nistCurves, x: bigint, y: bigint): boolean {
  const { p, b } = nistCurves[curve];
  if (x >= p || y >= p) return false;
  return (y * y - (x * x * x - 3n * x + b)) % p === 0n;
}

const p25519 = 2n ** 255n - 19n;
const edwardsD = 37095705934669439343138083508754565189542113879843219016388785533085940283555n;

/** u-coordinates of the points of order 1, 2, 4 and 8 on curve and twist (RFC 7748 §6.1, libsodium's list). */
const lowOrderU = new Set([
  0n,
  1n,
  325606250916557431795983626356110631294008115727848805560023387927233504n,
  39382357235489614581723060781553021112529911719440698176882885853963445705823n,
  p25519 - 1n,
]);

/** Says what is wrong with an X25519 public value, or undefined. */
export function judgeX25519Point(bytes: Uint8Array): string | undefined {
  const u = littleEndianToBigInt(bytes);
  if (lowOrderU.has((u & (2n ** 255n - 1n)) % p25519)) return 'The X25519 point has low order.';
  if (u >= p25519) return 'The X25519 point is not in its canonical spelling.';
  return undefined;
}

/** Says what is wrong with an Ed25519 public point (RFC 8032 §5.1.3), or undefined. */
export function judgeEd25519Point(bytes: Uint8Array): string | undefined {
  const encoded = littleEndianToBigInt(bytes);
  const y = encoded & (2n ** 255n - 1n);
  if (y >= p25519) return 'The Ed25519 point is not in its canonical spelling.';
  // -x² + y² = 1 + d x² y², so x² = (y² - 1) / (d y² + 1): the quotient must be a square.
  const y2 = (y * y) % p25519;
  const numerator = modulo(y2 - 1n);
  const denominator = modulo(edwardsD * y2 + 1n);
  // u/v is a square exactly when u·v is (v is never 0 on this curve).
  const product = (numerator * denominator) % p25519;
  if (product !== 0n && power(product, (p25519 - 1n) / 2n) !== 1n) return 'The bytes are not a point of Ed25519.';
  // The 8-torsion: y = ±1 (orders 1, 2), y = 0 (order 4), and order 8, where x² = y² with opposite sign under doubling:
  // 2P has y = 0 exactly when y² = -x², i.e. y²·(d y² + 1) = -(y² - 1).
  const isTorsion = numerator === 0n || y === 0n || modulo(y2 * denominator + numerator) === 0n;
  return isTorsion ? 'The Ed25519 point has low order.' : undefined;
}

function modulo(value: bigint): bigint {
  const rest = value % p25519;
  return rest < 0n ? rest + p25519 : rest;
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  let square = base;
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * square) % p25519;
    square = (square * square) % p25519;
  }
  return result;
}
