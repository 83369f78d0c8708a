import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTemplate, TemplateError } from './template.ts';

const values = {
  namespaces: [
    { name: 'default', values: { HOST: 'db.internal', PORT: 5432, TLS: false, NAME: 'base', EMPTY: '' } },
    {
      name: 'web',
      values: {
        NAME: 'web',
        PASS: `it's "quoted"\nand broken`,
        'db.host': 'dotted',
        'with space': 'spaced',
        LIST: [
          { name: 'a', port: 1 },
          { name: 'b', port: 2 },
        ],
        NONE: [],
        LIMITS: { cpu: 2, inner: { deep: ['x', 'y'] } },
        NULL: null,
      },
    },
  ],
};
const render = (source: string) => parseTemplate(source).render(values);

test('values: as they are, as JSON, of a namespace, with a default, inside JSON', () => {
  assert.equal(render('host={{ HOST }} port={{PORT}} tls={{ TLS }}.'), 'host=db.internal port=5432 tls=false.');
  assert.equal(render('{{ NAME }} {{ default/NAME }} {{ web/NAME }}'), 'web base web');
  assert.equal(
    render('{{ MISSING ?? "a \\"b\\" }}" }}|{{ HOST ?? "no" }}|{{ LIMITS.gpu ?? "0" }}'),
    'a "b" }}|db.internal|0',
  );
  assert.equal(render('{{ LIMITS.cpu }} {{ LIMITS.inner.deep.1 }} {{ LIMITS.inner }}'), '2 y {"deep":["x","y"]}');
  assert.equal(render('{{ "db.host" }} {{ "with space" }} {{ web/"db.host" }}'), 'dotted spaced dotted');
  assert.equal(render('{{ "{{" }}x{{ "}}" }} { {x} }'), '{{x}} { {x} }');
  assert.equal(render('{{ EMPTY }}|{{ NULL }}'), '|null');
});

test('filters', () => {
  assert.equal(render('{{ PASS | json }}'), String.raw`"it's \"quoted\"\nand broken"`);
  assert.equal(render('{{ PASS | shell }}'), `'it'\\''s "quoted"\nand broken'`);
  assert.equal(render('{{ HOST | base64 }}'), 'ZGIuaW50ZXJuYWw=');
  assert.equal(render('{{ "with space" | url }}{{ X ?? "a b" | url }}'), 'spaceda%20b');
  assert.equal(render('{{ PASS | lines }}'), `it's "quoted"\nand broken`);
});

test('a value cannot begin a line of its own in the file unless the template says so', () => {
  assert.throws(() => render('a: 1\npass = {{ PASS }}'), /^TemplateError: line 2: PASS has a line break/);
});

test('blocks, and the lines they stand on', () => {
  assert.equal(
    render('{{#if TLS}}on{{else}}off{{/if}} {{#if NONE}}a{{/if}}{{#if MISSING}}b{{/if}}{{#if PORT}}c{{/if}}'),
    'off c',
  );
  assert.equal(
    render('upstream {\n  {{#each LIST}}\n  server {{ .name }}:{{ .port }}; # {{ HOST }}\n  {{/each}}\n}\n'),
    'upstream {\n  server a:1; # db.internal\n  server b:2; # db.internal\n}\n',
  );
  assert.equal(render('{{#each LIMITS.inner.deep}}{{ . }},{{/each}}'), 'x,y,');
  assert.equal(render('a\n{{! a note\n over two lines }}\nb'), 'a\nb');
  assert.equal(render('a\r\n{{#if HOST}}\r\nb\r\n{{/if}}\r\nc'), 'a\r\nb\r\nc');
  assert.equal(render('{{#each LIST}}{{#each NONE}}{{/each}}{{#if .port}}{{ .port }}{{/if}}{{/each}}'), '12');
});

test('what is missing or wrong is an error with its line', () => {
  for (const [source, message] of [
    [
      '\n{{ MISSING }}',
      /line 2: MISSING is missing in default, web; publish it, or write \{\{ MISSING \?\? "default" \}\}/,
    ],
    ['{{ web/HOST }}', /web\/HOST is missing/],
    ['{{ other/HOST }}', /the namespace other is not one of this target: default, web/],
    ['{{#each MISSING}}{{/each}}', /MISSING is missing/],
    ['{{#each HOST}}{{/each}}', /HOST is not a list/],
    ['{{ .name }}', /stands outside of each/],
    ['a\n\n{{#if HOST}}b', /line 3: \{\{#if\}\} is not closed/],
    ['{{/if}}', /closes nothing/],
    ['{{#if HOST}}{{/each}}', /closes nothing/],
    ['{{#if HOST}}{{else}}{{else}}{{/if}}', /two \{\{else\}\}/],
    ['{{ HOST', /not closed by \}\}/],
    ['{{ HOST | upper }}', /the filter upper is not known; there are lines, json, shell, base64, url/],
    ['{{#with HOST}}{{/with}}', /there are #if and #each/],
    ['{{ process.exit() }}', /"process\.exit\(\)" is no key/],
    ['{{ }}', /is not understood/],
    ['{{ __proto__ }}', /is missing/],
    ['{{ LIST.constructor }}', /is missing/],
    ['{{ HOST.length }}', /is missing/],
    [`${'{{#if HOST}}'.repeat(17)}${'{{/if}}'.repeat(17)}`, /nested deeper/],
  ] as const) {
    assert.throws(
      () => render(source),
      (error: unknown) => error instanceof TemplateError && message.test(error.message),
      source,
    );
  }
});

test('a text that grows without end is stopped', () => {
  const many = { namespaces: [{ name: 'n', values: { L: Array.from({ length: 2000 }, () => 'x'.repeat(100)) } }] };
  assert.throws(
    () => parseTemplate('{{#each L}}{{#each L}}{{ . }}{{/each}}{{/each}}').render({ ...many }),
    /longer than/,
  );
});
