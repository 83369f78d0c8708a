import { strictObject } from '@gatehouse/contracts';
import type { FastifyReply } from 'fastify';
import { Type } from 'typebox';
import { type App, AppError } from '../../../kernel/index.ts';
import { html } from '../pages/html.ts';
import { alertBox, field, sendPage } from '../pages/layout.ts';
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
        schema: {
          hide: true,
          body: strictObject({
            code: Type.String({ maxLength: 256 }),
            username: Type.String({ maxLength: 256 }),
            password: Type.String({ maxLength: 1024 }),
          }),
        },
      },
      async (request, reply) => {
        const { code, username, password } = request.body;
        try {
          const user = await bootstrap.setUp({ code: code.trim(), username, password, origin: request.origin });
          return sendPage(reply, {
            title: 'The first operator is there',
            status: 201,
            body: html`<p>You can sign in as <strong>${user.username}</strong> now, for example with <code>gatehouse login</code>.</p>
<p>The link you used has ended.</p>`,
          });
        } catch (error) {
          if (!(error instanceof AppError)) throw error;
          if (error.code === 'identity.setup_closed') return sendClosed(reply);
          const fix = error.errors?.[0]?.fix;
          const message = `${error.message}${fix === undefined ? '' : ` Fix: ${fix}.`}`;
          reply.headers(error.headers);
          return sendForm(reply, error.status, { code, username, message });
        }
      },
    );
  };
}

function sendForm(
  reply: FastifyReply,
  status: number,
  { code = '', username = '', message }: { code?: string; username?: string; message?: string },
): FastifyReply {
  return sendPage(reply, {
    title,
    status,
    scripts: ['/assets/setup.js'],
    body: html`<p>An operator has rights over every organization. This works once.</p>
${message !== undefined && alertBox(message)}
<form method="post" action="/setup">
${field({
  name: 'code',
  label: 'One-time code',
  value: code,
  autocomplete: 'off',
  hint: 'The part of the printed link after the #.',
  autofocus: code === '',
})}
${field({ name: 'username', label: 'User name', value: username, autocomplete: 'username', maxLength: 128 })}
${field({
  name: 'password',
  label: 'Password',
  type: 'password',
  autocomplete: 'new-password',
  hint: `At least ${passwordPolicy.minCharacters} characters, for example several unrelated words.`,
})}
<button type="submit">Create the operator</button>
</form>`,
  });
}

function sendClosed(reply: FastifyReply): FastifyReply {
  return sendPage(reply, {
    title: 'The set-up is done',
    status: 410,
    body: html`<p>The first operator exists already. Sign in, or ask an operator for an account.</p>`,
  });
}
