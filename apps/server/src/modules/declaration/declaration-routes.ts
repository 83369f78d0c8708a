import { DeclarationApplied, DeclarationPlan, DeclarationRequest } from '@gatehouse/contracts';
import { checkReferences, checkShape, type ShapeError } from '@gatehouse/declaration';
import type { FastifyRequest } from 'fastify';
import { type App, AppError } from '../../kernel/index.ts';
import type { DeclarationInput, DeclarationService } from './declaration-service.ts';

const tags = ['declaration'];

/** `/v1/declaration`: operators plan and apply what shall exist. Values travel here, never paths. */
export function declarationRoutes({ plan, apply }: DeclarationService) {
  return (app: App): void => {
    app.post(
      '/v1/declaration/plan',
      {
        // The validator's complaint is set aside: `inputOf` says the same with the place and what was probably meant.
        attachValidation: true,
        config: { auth: { permission: 'declaration:apply' } },
        schema: {
          summary: 'Show what applying a declaration would do',
          description: 'Every step is tried in a transaction that is undone. No secret value is in the answer.',
          tags,
          operationId: 'planDeclaration',
          body: DeclarationRequest,
          response: { 200: DeclarationPlan },
        },
      },
      async (request) => plan(inputOf(request)),
    );
    app.post(
      '/v1/declaration/apply',
      {
        attachValidation: true,
        config: { auth: { permission: 'declaration:apply' } },
        schema: {
          summary: 'Apply a declaration in one transaction',
          description:
            'Generated secrets of clients and webhooks are in this answer and shown nowhere else. Twice is a no-op.',
          tags,
          operationId: 'applyDeclaration',
          body: DeclarationRequest,
          response: { 200: DeclarationApplied },
        },
      },
      async (request) => apply(inputOf(request)),
    );
  };
}

/** The checked input. A declaration reaches beyond one organization, so its applicant is an operator. */
function inputOf(request: FastifyRequest): DeclarationInput {
  const { principal, origin } = request;
  if (!principal.operator) {
    throw new AppError('kernel.forbidden', {
      detail: 'Only operators, members of the organization gatehouse with the role admin, can apply a declaration.',
    });
  }
  const shape = checkShape(DeclarationRequest, request.body);
  if (shape.length > 0) throw refusal(shape);
  if (request.validationError) throw request.validationError;
  const { declaration, prune = false } = request.body as DeclarationRequest;
  const references = checkReferences(declaration, 'wire');
  if (references.length > 0) throw refusal(references);
  return { declaration, prune, granter: principal, origin };
}

function refusal(faults: readonly ShapeError[]): AppError {
  const errors = faults.map(({ path, rule, fix }) => ({
    field: (path[0] === 'declaration' ? path.slice(1) : path).join('.') || 'body',
    rule,
    ...(fix === undefined ? {} : { fix }),
  }));
  const [first] = errors;
  const fix = first?.fix === undefined ? '' : `; ${first.fix}`;
  return new AppError('kernel.invalid_request', { detail: `${first?.field} ${first?.rule}${fix}`, errors });
}
