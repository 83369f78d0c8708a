/** Known weaknesses of an RSA modulus that can be seen from outside, cheaply. */

const smallPrimes = primesBelow(2_000);
/** The primes of the ROCA fingerprint: 3 to 167 (Nemec et al., CCS 2017, §3.4). */
const rocaPrimes = smallPrimes.filter((p) => p >= 3 && p <= 167);
const rocaResidues = rocaPrimes.map((p) => subgroupOf65537(p));
const primorial = smallPrimes.reduce((product, p) => product * BigInt(p), 1n);

/** Rounds of Fermat's method: finds factors that differ by less than about 2^(bits/4 + 8). */
const fermatRounds = 64;

/** Says what is wrong with the modulus, or undefined when nothing known is. */
export function judgeRsaModulus(n: bigint): string | undefined {
  if (n % 2n === 0n) return 'The RSA modulus is even.';
  const residue = n % primorial;
  if (smallPrimes.some((p) => residue % BigInt(p) === 0n)) return 'The RSA modulus has a small factor.';
  if (hasRocaFingerprint(residue))
    return 'The RSA modulus has the fingerprint of ROCA (CVE-2017-15361): it can be factored.';
  if (hasCloseFactors(n)) return 'The RSA modulus has two factors close to each other: it can be factored (Fermat).';
  return undefined;
}

/** Keys of the flawed library are powers of 65537 modulo every one of these primes; others: 1 in 2^27. */
function hasRocaFingerprint(residue: bigint): boolean {
  return rocaPrimes.every((p, i) => rocaResidues[i]?.has(Number(residue % BigInt(p))) === true);
}

function subgroupOf65537(p: number): ReadonlySet<number> {
  const members = new Set<number>();
  for (let power = 1; !members.has(power); power = (power * 65_537) % p) members.add(power);
  return members;
}

function hasCloseFactors(n: bigint): boolean {
  let a = integerSquareRoot(n);
  if (a * a === n) return true;
  a += 1n;
  let remainder = a * a - n;
  for (let round = 0; round < fermatRounds; round += 1) {
    if (isSquare(remainder)) return true;
    remainder += 2n * a + 1n;
    a += 1n;
  }
  return false;
}

const squaresModulo4095 = new Set(Array.from({ length: 4095 }, (_, i) => (i * i) % 4095));

function isSquare(value: bigint): boolean {
  if (!squaresModulo4095.has(Number(value % 4095n))) return false;
  const root = integerSquareRoot(value);
  return root * root === value;
}

/** Floor of the square root, by Newton's method from above. */
function integerSquareRoot(value: bigint): bigint {
  if (value < 2n) return value;
  let x = 1n << BigInt(Math.ceil(value.toString(16).length * 2) + 1);
  for (;;) {
    const next = (x + value / x) >> 1n;
    if (next >= x) return x;
    x = next;
  }
}

function primesBelow(limit: number): readonly number[] {
  const primes: number[] = [];
  for (let candidate = 2; candidate < limit; candidate += 1) {
    if (primes.every((p) => candidate % p !== 0)) primes.push(candidate);
  }
  return primes;
}
