/** Headers of every answer, pages and errors included. Pages replace the CSP by their own, equally strict one. */
export function securityHeaders({ https }: { https: boolean }): readonly (readonly [string, string])[] {
  return [
    ['content-security-policy', "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"],
    ['x-content-type-options', 'nosniff'],
    ['x-frame-options', 'DENY'],
    ['referrer-policy', 'no-referrer'],
    ['cross-origin-opener-policy', 'same-origin'],
    ['cross-origin-resource-policy', 'same-origin'],
    ['permissions-policy', 'camera=(), microphone=(), geolocation=()'],
    ['cache-control', 'no-store'],
    ...(https ? ([['strict-transport-security', 'max-age=63072000; includeSubDomains']] as const) : []),
  ];
}
