import { strictObject } from '@gatehouse/contracts';
import type { FastifyReply } from 'fastify';
import { Type } from 'typebox';
import { type App, AppError } from '../../../kernel/index.ts';
import { html } from '../pages/html.ts';
import { alertBox, field, sendPage } from '../pages/layout.ts';
import { sendProblemPage } from '../pages/problem-page.ts';
import { passwordPolicy } from '../passwords/password-policy.ts';
import type { Bootstrap } from './bootstrap.ts';

const title = 'Create the first operator';
const auth = { public: 'nobody has an account yet: the one-time code of the link is what counts' };

/** `/setup`: the page behind the one-time link. Without JavaScript the code is pasted into its field. */
export function setupRoutes({ bootstrap }: { bootstrap: Pick<Bootstrap, 'isOpen' | 'setUp'> }) {
  return (app: App): void => {
    app.get('/setup', { config: { auth }, schema: { hide: true } }, async (_request, reply) =>
      (await bootstrap.isOpen()) ? sendForm(reply, 200, {}) : sendClosed(reply),
    );
    app.post(
      '/setup',
      {
        config: { auth },
        errorHandler: (error, request, reply) => void sendProblemPage(error, request, reply),
        schema: {
          hide: true,
          body: strictObject({
            code: Type.String({ maxLength: 256 }),
            username: Type.String({ maxLength: 256 }),
            // The password policy has the limit; this only bounds the work, and the policy's answer is a page.
            password: Type.String({ maxLength: 16_384 }),
          }),
        },
      },
      async (request, reply) => {
        const { code, username, password } = request.body;
        try {
          const user = await bootstrap.setUp({ code: code.trim(), username, password, origin: request.origin });
          return sendPage(reply, {
            title: 'The operator is created',
            status: 201,
            body: html`<p>Sign in as <strong>${user.username}</strong>, for example with <code>gatehouse login</code>.</p>
<p class="note">The link no longer works.</p>`,
          });
        } catch (error) {
          if (!(error instanceof AppError)) throw error;
          if (error.code === 'identity.setup_closed') return sendClosed(reply);
          reply.headers(error.headers);
          return sendForm(reply, error.status, { code, username, problem: problemOf(error) });
        }
      },
    );
  };
}

/** What is wrong and how to mend it, and the field it is about. */
interface Problem {
  readonly text: string;
  readonly field: string | undefined;
}

function problemOf(error: AppError): Problem {
  const { field: name, fix } = error.errors?.[0] ?? {};
  const advice = fix === undefined ? '' : ` ${fix.charAt(0).toUpperCase()}${fix.slice(1)}.`;
  return { text: `${error.message}${advice}`, field: name ?? (error.code === 'kernel.forbidden' ? 'code' : undefined) };
}

function sendForm(
  reply: FastifyReply,
  status: number,
  { code = '', username = '', problem }: { code?: string; username?: string; problem?: Problem },
): FastifyReply {
  const wrong = problem?.field ?? (code === '' ? 'code' : undefined);
  return sendPage(reply, {
    title,
    status,
    problem: problem !== undefined,
    scripts: ['/assets/setup.js'],
    body: html`<p class="lead">An operator has rights over every organization. This works once.</p>
${problem !== undefined && alertBox(problem.text)}
<form method="post" action="/setup">
${field({
  name: 'code',
  label: 'One-time code',
  value: code,
  autocomplete: 'off',
  hint: 'The part of the printed link after the #.',
  autofocus: wrong === 'code',
  invalid: problem?.field === 'code',
  maxLength: 256,
})}
${field({
  name: 'username',
  label: 'User name',
  value: username,
  autocomplete: 'username',
  autofocus: wrong === 'username',
  invalid: problem?.field === 'username',
  maxLength: 128,
})}
${field({
  name: 'password',
  label: 'Password',
  type: 'password',
  autocomplete: 'new-password',
  hint: `At least ${passwordPolicy.minCharacters} characters, for example several unrelated words.`,
  autofocus: wrong === 'password',
  invalid: problem?.field === 'password',
})}
<button type="submit">Create the operator</button>
</form>`,
  });
}

function sendClosed(reply: FastifyReply): FastifyReply {
  return sendPage(reply, {
    title: 'The set-up is done',
    status: 410,
    body: html`<p class="lead">The first operator exists already. Sign in, or ask an operator for an account.</p>`,
  });
}
