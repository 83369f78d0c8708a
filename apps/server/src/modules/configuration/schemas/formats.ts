import { isIPv4, isIPv6 } from 'node:net';

/** The formats that are checked, each in time linear in the text. Any other one is refused when the schema is set. */
export const formats: Readonly<Record<string, (text: string) => boolean>> = {
  date: isDate,
  'date-time': isDateTime,
  email: (text) => text.length <= 320 && /^[^\s@<>"]{1,64}@[^\s@<>"]{1,255}$/.test(text),
  hostname: (text) => text.length <= 253 && text.split('.').every((label) => isLabel(label)),
  ipv4: isIPv4,
  ipv6: isIPv6,
  uri: (text) =>
    text.length <= 8192 && /^[A-Za-z][A-Za-z0-9+.-]*:/.test(text) && !/\s/.test(text) && URL.canParse(text),
  uuid: (text) => /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(text),
};

function isLabel(label: string): boolean {
  return label.length <= 63 && /^[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?$/.test(label);
}

function isDate(text: string): boolean {
  const match = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text);
  if (!match) return false;
  const [year, month, day] = match.slice(1).map(Number) as [number, number, number];
  const last = new Date(Date.UTC(2000 + (year % 400), month, 0)).getUTCDate();
  return month >= 1 && month <= 12 && day >= 1 && day <= last;
}

/** RFC 3339 §5.6. */
function isDateTime(text: string): boolean {
  if (text.length > 64 || !isDate(text.slice(0, 10))) return false;
  const match = /^[Tt](\d{2}):(\d{2}):(\d{2})(?:\.\d+)?(?:[Zz]|[+-](\d{2}):(\d{2}))$/.exec(text.slice(10));
  if (!match) return false;
  const [hour, minute, second, offsetHour = 0, offsetMinute = 0] = match.slice(1).map((part) => Number(part ?? 0));
  return Number(hour) <= 23 && Number(minute) <= 59 && Number(second) <= 60 && offsetHour <= 23 && offsetMinute <= 59;
}
