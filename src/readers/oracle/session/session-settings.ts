/**
 * NLS settings that fix how LogMiner prints literals, and the zone in which TIMESTAMP WITH LOCAL TIME ZONE comes
 * out. They belong to a connection.
 */
export const SESSION_SETTINGS = [
  `ALTER SESSION SET NLS_DATE_FORMAT = 'YYYY-MM-DD HH24:MI:SS' NLS_TIMESTAMP_FORMAT = 'YYYY-MM-DD HH24:MI:SS.FF9' NLS_TIMESTAMP_TZ_FORMAT = 'YYYY-MM-DD HH24:MI:SS.FF9 TZH:TZM' NLS_NUMERIC_CHARACTERS = '.,'`,
  `ALTER SESSION SET TIME_ZONE = '00:00'`,
] as const;

/** For polling, which goes on behind the last text it has seen: in the order of bytes, whatever the instance is set to. */
export const POLL_SETTINGS = [`ALTER SESSION SET NLS_COMP = BINARY NLS_SORT = BINARY`] as const;
