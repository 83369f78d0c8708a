/** The written list of published vectors on which our doors deliberately differ. */
export interface AcceptedDifferences {
  readonly differences: readonly {
    readonly name: string;
    readonly reason: string;
    /** Vector id → what our doors say: `accepted` or the code of the refusal. */
    readonly vectors: Readonly<Record<string, string>>;
  }[];
}

/** The list as a page for people. */
export function renderAcceptedDifferences({ differences }: AcceptedDifferences): string {
  const count = differences.reduce((sum, { vectors }) => sum + Object.keys(vectors).length, 0);
  const sections = differences.map(({ name, reason, vectors }) => {
    const lines = Object.entries(vectors).map(
      ([id, ours]) => `- \`${id}\`: ${ours === 'accepted' ? 'accepted' : `refused, \`${ours}\``}`,
    );
    return `## ${name}\n\n${reason}\n\n${lines.join('\n')}\n`;
  });
  const intro = [
    '# Accepted differences',
    '',
    'Generated from `accepted-differences.json` by `test/generate.ts`; do not edit.',
    '',
    `Published vectors on which our doors differ from their authors' verdict even when every algorithm this`,
    `package computes is allowed: ${count}. Everything else in \`wycheproof/\` and \`jose-cookbook/\` comes out as`,
    'published. By default the doors accept fewer algorithms still (`src/algorithms.ts`); the tests check that',
    'each vector outside the default allow lists is refused there.',
    '',
  ];
  return `${intro.join('\n')}\n${sections.join('\n')}`;
}
