/** Whether Debezium writes a time of this precision in milliseconds. */
export function isShort(precision: number | null): boolean {
  return precision !== null && precision <= 3;
}
