/** Days since 1970-01-01 in the proleptic Gregorian calendar; `year` is astronomical (1 BC is 0). */
export function daysFromCivil(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yoe = y - era * 400;
  const doy = ((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) | 0;
  return era * 146_097 + yoe * 365 + ((yoe / 4) | 0) - ((yoe / 100) | 0) + doy + day - 1 - 719_468;
}
