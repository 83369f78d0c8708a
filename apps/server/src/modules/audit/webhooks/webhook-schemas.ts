import { eventPatternPattern, type JsonObject, strictObject, Timestamp } from '@gatehouse/contracts';
import { Type } from 'typebox';
import { longestOverlapSeconds, maxReplayed } from './webhook-service.ts';

const Id = Type.String({ minLength: 1, maxLength: 64, pattern: '^[a-z]+_[0-9a-z]+$' });
const Url = Type.String({
  minLength: 8,
  maxLength: 2048,
  description: 'an https address; one address has one webhook in an organization',
});
const Events = Type.Array(Type.String({ pattern: eventPatternPattern, maxLength: 65 }), {
  minItems: 1,
  maxItems: 100,
  description: 'events, all of a noun (user.*), or all (*)',
});
const Description = Type.String({ maxLength: 256, description: 'for people' });

/** Path parameters. */
export const WebhookParams = strictObject({ webhook: Id });
/** Path parameters of a delivery. */
export const DeliveryParams = strictObject({ webhook: Id, delivery: Id });

/** The body that makes a webhook. */
export const NewWebhook = strictObject({ url: Url, events: Events, description: Type.Optional(Description) });
/** The body that changes one. */
export const WebhookUpdate = strictObject({
  url: Type.Optional(Url),
  events: Type.Optional(Events),
  description: Type.Optional(Description),
  enabled: Type.Optional(Type.Boolean()),
});
/** The body that replaces the secret. */
export const Rotation = strictObject({
  overlap_seconds: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: longestOverlapSeconds,
      default: 86_400,
      description: 'how long the present secret goes on signing beside the new one; 0 ends it at once',
    }),
  ),
});
/** The body that asks for deliveries again. */
export const ReplayRange = strictObject({
  since: Timestamp,
  until: Type.Optional(Timestamp),
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: maxReplayed,
      default: maxReplayed,
      description: 'at most so many, oldest first',
    }),
  ),
  include_delivered: Type.Optional(
    Type.Boolean({ default: false, description: 'also those that arrived, not only the dead ones' }),
  ),
});

/** How many deliveries are sent again. */
export const Replayed = strictObject({
  deliveries: Type.Integer(),
  continue_since: Type.Optional({
    ...Timestamp,
    description: 'there may be more: ask again with this as since; some come twice',
  }),
});

const webhookMembers = {
  id: Type.String(),
  organization: Type.String(),
  url: Type.String(),
  events: Type.Array(Type.String()),
  description: Type.Optional(Type.String()),
  enabled: Type.Boolean(),
  disabled_reason: Type.Optional(
    Type.Enum(['by_request', 'failing', 'gone'], {
      description: 'failing: the endpoint failed for five days; gone: it answered 410',
    }),
  ),
  failing_since: Type.Optional(Timestamp),
  secrets: Type.Array(
    strictObject({ id: Type.String(), created_at: Timestamp, expires_at: Type.Optional(Timestamp) }),
    { description: 'the valid secrets, newest first, without their values' },
  ),
  created_at: Timestamp,
  created_by: Type.String(),
  updated_at: Timestamp,
};
const Secret = Type.String({ description: 'whsec_…: in this answer and nowhere else' });

/** A webhook as it is answered. */
export const WebhookAnswer = strictObject(webhookMembers);
/** A webhook just made. */
export const CreatedWebhook = strictObject({ ...webhookMembers, secret: Secret });
/** A secret just made. */
export const RotatedSecret = strictObject({ secret: Secret, previous_expires_at: Type.Optional(Timestamp) });

const deliveryMembers = {
  id: Type.String(),
  event_id: Type.String({ description: 'the webhook-id header; evt_ and the rest of the id of the audit entry' }),
  type: Type.String(),
  state: Type.Enum(['waiting', 'delivered', 'dead']),
  attempts: Type.Integer(),
  created_at: Timestamp,
  next_attempt_at: Type.Optional(Timestamp),
  last_attempt_at: Type.Optional(Timestamp),
  last_status: Type.Optional(Type.Integer({ description: 'what the endpoint answered' })),
  last_error: Type.Optional(Type.String()),
};
/** A delivery in a list. */
export const DeliveryAnswer = strictObject(deliveryMembers);
/** A delivery with what is sent. */
export const DeliveryWithPayload = strictObject({
  ...deliveryMembers,
  payload: strictObject({
    type: Type.String(),
    timestamp: Timestamp,
    data: Type.Unsafe<JsonObject>({ type: 'object', additionalProperties: true }),
  }),
});
/** The query of the list of deliveries. */
export const DeliveryQuery = strictObject({
  state: Type.Optional(Type.Enum(['waiting', 'delivered', 'dead'])),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 200, default: 50 })),
  cursor: Type.Optional(Type.String({ maxLength: 512 })),
});
/** One line of the list of events. */
export const EventAnswer = strictObject({
  name: Type.String(),
  title: Type.String(),
  data: Type.Array(Type.String(), { description: 'members of data beside those that each event has' }),
  everybody: Type.Boolean({ description: 'webhooks of every organization may hear of it' }),
});
