/** A JSON value (RFC 8259). */
export type JsonValue = string | number | boolean | null | JsonArray | JsonObject;
/** A JSON array. */
export type JsonArray = readonly JsonValue[];
/** A JSON object; `undefined` members are not written. */
export interface JsonObject {
  readonly [key: string]: JsonValue | undefined;
}
