import { strictObject } from '@gatehouse/contracts';
import type { FastifyRequest, HTTPMethods } from 'fastify';
import { Type } from 'typebox';
import type { App } from '../../kernel/index.ts';
import type { Access, Caller, Member } from './access.ts';
import { type Answer, send } from './answer.ts';
import { readBody } from './body.ts';
import type { Level } from './rights.ts';

/** What a handler gets of a request: the names of the path, the body when it asks for it, and who calls. */
export interface Call<Who> {
  readonly who: Who;
  readonly request: FastifyRequest;
  readonly service: string;
  readonly namespace: string;
  /** As in the path: what is no number is refused with the original's words. */
  readonly version: string;
  body(): ReturnType<typeof readBody>;
}

interface Description<Who> {
  readonly method: HTTPMethods | readonly HTTPMethods[];
  readonly path: string;
  readonly operationId: string;
  readonly summary: string;
  readonly handle: (call: Call<Who>) => Promise<Answer>;
}

// oxlint-disable-next-line no-control-regex -- PostgreSQL takes no U+0000, and no name has any of them
const part = Type.String({ minLength: 1, maxLength: 256, pattern: '^[^\\u0000-\\u001f\\u007f]+$' });

/** Registers routes of the original; each says whom it lets in, and that is settled before its handler runs. */
export function createRoutes(app: App, access: Access) {
  const add = <Who>(
    route: Description<Who>,
    auth: { public: string } | { credentials: string },
    whoOf: (request: FastifyRequest, names: Readonly<Record<string, string>>) => Promise<Who>,
  ): void => {
    const names = [...route.path.matchAll(/:([a-z]+)/g)].map((match) => match[1] ?? '');
    app.route({
      method: typeof route.method === 'string' ? route.method : [...route.method],
      url: route.path,
      config: { auth },
      schema: {
        // Not in the API description: answers and errors have the original's forms, which docs/guides/move-from-reuni.md
        // lists.
        hide: true,
        summary: route.summary,
        operationId: route.operationId,
        ...(names.length === 0 ? {} : { params: strictObject(Object.fromEntries(names.map((name) => [name, part]))) }),
      },
      handler: async (request, reply) => {
        const path = request.params as Readonly<Record<string, string>>;
        const who = await whoOf(request, path);
        const { service = '', namespace = '', version = '' } = path;
        return send(
          reply,
          await route.handle({ who, request, service, namespace, version, body: () => readBody(request.body) }),
        );
      },
    });
  };
  const bearer = { credentials: 'a token of /reuni/login' };
  return {
    /** Open to all; `why` says so to whoever reads the list of open routes. */
    open: (why: string, route: Description<undefined>) => add(route, { public: why }, async () => undefined),
    /** For whoever has signed in. */
    user: (route: Description<Caller>) => add(route, bearer, (request) => access.findUser(request)),
    /** For members of the organization in the path. */
    member: (level: Level, route: Description<Member>) =>
      add(route, bearer, (request, { organization = '' }) => access.findMember(request, organization, level)),
    /** For agents: the raw authorization token of a service. */
    agent: <Who>(
      route: Description<Who>,
      whoOf: (request: FastifyRequest, names: Readonly<Record<string, string>>) => Promise<Who>,
    ) => add(route, { credentials: 'an authorization token of the service, without "Bearer"' }, whoOf),
  };
}

/** The ways to register a route. */
export type Routes = ReturnType<typeof createRoutes>;
