import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { App } from './http.ts';

/** Generates OpenAPI 3.1 from the routes' schemas and serves it at `/docs` (page) and `/docs/json`. Before the routes. */
export async function installOpenApi(app: App, options: { version: string; publicUrl: string }): Promise<void> {
  await app.register(swagger, {
    refResolver: {
      buildLocalReference: (json, _base, _fragment, index) =>
        typeof json['$id'] === 'string' ? json['$id'] : `schema-${index}`,
    },
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Gatehouse',
        version: options.version,
        description: 'Identity, keys, secrets and audit of a company’s services.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      servers: [{ url: options.publicUrl }],
      components: {
        securitySchemes: {
          bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'at+jwt' },
          credentials: {
            type: 'http',
            scheme: 'bearer',
            description: 'Other than an access token: see the operation.',
          },
        },
      },
    },
    transform: ({ schema, url, route }) => {
      const auth = route.config?.auth;
      const scheme = auth && 'credentials' in auth ? 'credentials' : 'bearer';
      const security = auth && !('public' in auth) ? [{ [scheme]: [] }] : [];
      const permission = auth && 'permission' in auth ? { 'x-permission': auth.permission } : {};
      return { schema: { ...(schema as object), security, ...permission }, url };
    },
  });
}

const pageCsp =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/** Light or dark as the reader's system has it; the page's own switch is in the bar that we leave out. */
const followScheme = `const dark = matchMedia('(prefers-color-scheme: dark)');
const follow = () => document.documentElement.classList.toggle('dark-mode', dark.matches);
dark.addEventListener('change', follow);
follow();
`;

/** Serves the page. It is static: no inline script, no request to another host. */
export async function serveOpenApi(app: App): Promise<void> {
  await app.register(async (docs) => {
    docs.addHook('onRoute', (route) => {
      route.config = { ...route.config, auth: { public: 'the API description holds no data' } };
    });
    // Written once: a third of a megabyte made anew for each of many readers would hold up everybody else.
    let description: Buffer | undefined;
    docs.addHook('onRequest', async (request, reply) => {
      reply.raw.removeHeader('content-security-policy');
      if (request.routeOptions.url !== '/docs/json') return undefined;
      description ??= Buffer.from(JSON.stringify(app.swagger()));
      return reply.type('application/json; charset=utf-8').send(description);
    });
    // Without it a phone shows the page as wide as a desk's. The plugin has no setting for it.
    docs.addHook('onSend', async (_request, _reply, payload) =>
      typeof payload === 'string'
        ? payload.replace(
            '<meta charset="UTF-8">',
            '<meta charset="UTF-8"><meta name="viewport" content="width=device-width, initial-scale=1">',
          )
        : payload,
    );
    await docs.register(swaggerUi, {
      routePrefix: '/docs',
      staticCSP: true,
      transformStaticCSP: () => pageCsp,
      // The base layout has no bar on top: that has a logo of others, and a style element that the policy refuses.
      uiConfig: { layout: 'BaseLayout', deepLinking: true, docExpansion: 'none', validatorUrl: null },
      theme: {
        title: 'Gatehouse API',
        js: [{ filename: 'scheme.js', content: followScheme }],
        // No operation has links, and their column pushes the rest out of a narrow window.
        css: [{ filename: 'narrow.css', content: '.swagger-ui .response-col_links { display: none }\n' }],
      },
    });
  });
}
