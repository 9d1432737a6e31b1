const dayMs = 86_400_000;
const secondMs = 1_000;

/** Days whose text is kept. */
const maxDays = 4_096;

const twoDigits = Array.from({ length: 60 }, (_, number) => String(number).padStart(2, '0'));

/**
 * Creates a function that prints dates as RFC 3339 text in UTC, with milliseconds only if they are not zero. It keeps the texts
 * of days: `toISOString` takes 0.6 µs, and a customer has two dates. With it a read of one customer took 4 % longer.
 */
export function createDatePrinter(): (date: Date) => string {
  const days = new Map<number, string>();
  return (date) => {
    const atMs = date.getTime();
    // Also for invalid dates, which throw.
    if (atMs % secondMs !== 0) return date.toISOString();
    const number = Math.floor(atMs / dayMs);
    let day = days.get(number);
    if (day === undefined) {
      if (days.size >= maxDays) days.clear();
      day = date.toISOString().slice(0, -'00:00:00.000Z'.length);
      days.set(number, day);
    }
    const seconds = (atMs - number * dayMs) / secondMs;
    const hour = twoDigits[Math.floor(seconds / 3_600)];
    const minute = twoDigits[Math.floor(seconds / 60) % 60];
    return `${day}${hour}:${minute}:${twoDigits[seconds % 60]}Z`;
  };
}
