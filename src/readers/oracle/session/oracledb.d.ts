/** What is used of the driver, which has no types of its own. */
declare module 'oracledb' {
  export interface DbType {
    readonly num: number;
  }
  export interface ColumnMetadata {
    readonly dbType: DbType;
  }
  export interface ExecuteOptions {
    readonly resultSet?: boolean;
    readonly outFormat?: number;
    readonly fetchArraySize?: number;
    readonly prefetchRows?: number;
    readonly fetchTypeHandler?: (column: ColumnMetadata) => { readonly type: DbType } | undefined;
  }
  export interface ResultSet {
    getRows(count: number): Promise<readonly (readonly unknown[])[]>;
    close(): Promise<void>;
  }
  export interface Result {
    readonly rows?: readonly (readonly unknown[])[];
    readonly resultSet?: ResultSet;
  }
  export interface ResultColumnMetadata {
    readonly name: string;
    readonly dbTypeName: string;
    readonly byteSize?: number;
    readonly precision?: number;
    readonly scale?: number;
  }
  export interface Connection {
    callTimeout: number;
    getStatementInfo(sql: string): Promise<{ readonly metaData?: readonly ResultColumnMetadata[] }>;
    execute(
      sql: string,
      binds: Readonly<Record<string, string | number | null>>,
      options: ExecuteOptions,
    ): Promise<Result>;
    break(): Promise<void>;
    close(options?: { readonly drop?: boolean }): Promise<void>;
  }
  export interface ConnectOptions {
    readonly user: string;
    readonly password: string;
    readonly connectString: string;
    readonly expireTime: number;
    readonly connectTimeout: number;
    readonly transportConnectTimeout: number;
    readonly retryCount: number;
    readonly sslServerDNMatch?: boolean;
    readonly walletContent?: string;
  }
  interface Driver {
    readonly OUT_FORMAT_ARRAY: number;
    readonly DB_TYPE_NUMBER: DbType;
    readonly DB_TYPE_CLOB: DbType;
    readonly DB_TYPE_NCLOB: DbType;
    readonly DB_TYPE_BLOB: DbType;
    readonly DB_TYPE_LONG: DbType;
    readonly DB_TYPE_VARCHAR: DbType;
    readonly DB_TYPE_RAW: DbType;
    readonly STRING: DbType;
    readonly BUFFER: DbType;
    getConnection(options: ConnectOptions): Promise<Connection>;
  }
  const driver: Driver;
  export default driver;
}
