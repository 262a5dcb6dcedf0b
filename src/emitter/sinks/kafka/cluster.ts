import { isIP, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  apiVersionsV0,
  apiVersionsV3,
  Connection,
  type ConnectionOptions,
  type metadataV12,
  ResponseError,
  type ResponseParser,
  Writer,
} from '@platformatic/kafka';
import { FIND_COORDINATOR, METADATA, type Versioned } from './apis.ts';
import { asFault, KAFKA, KafkaFault } from './errors.ts';
import type { ResolvedKafkaOptions } from './options.ts';
import { scramLogin } from './scram.ts';

export type MetadataResponse = Awaited<ReturnType<typeof metadataV12.api.async>>;

/** A broker answers one request of a connection after the other, so what may wait has a connection of its own. */
export type Purpose = 'control' | 'data' | 'group' | 'fetch';

interface Link {
  readonly connection: Connection;
  readonly where: string;
  /** API key → highest and lowest version the broker knows. */
  readonly versions: ReadonlyMap<number, readonly [min: number, max: number]>;
  readonly features: ReadonlyMap<string, number>;
  /** What the socket said last: the requests that it takes along learn only that it is closed. */
  readonly trouble: () => unknown;
}

interface Address {
  readonly host: string;
  readonly port: number;
}

export interface RawRequest<T> {
  readonly apiKey: number;
  readonly apiVersion: number;
  readonly flexible: boolean;
  readonly write: (writer: Writer) => void;
  readonly parse: ResponseParser<T>;
}

/** Stands for any broker that answers. */
export const ANY_BROKER = -1;

/**
 * Connections to the brokers of one cluster: opened when first used, one for each broker and purpose, dropped
 * at the first doubt. Knows who leads which partition as of the last metadata.
 */
export class Cluster implements AsyncDisposable {
  readonly options: ResolvedKafkaOptions;
  readonly #connectionOptions: ConnectionOptions;
  readonly #links = new Map<string, Promise<Link>>();
  readonly #open = new Set<Connection>();
  #brokers = new Map<number, Address>();
  readonly #leaders = new Map<string, readonly number[]>();
  #closed = false;
  #losses = 0;

  constructor(options: ResolvedKafkaOptions) {
    this.options = options;
    this.#connectionOptions = connectionOptions(options);
  }

  get brokerIds(): readonly number[] {
    return [...this.#brokers.keys()];
  }

  /**
   * How many connections have been lost so far. As long as it stays the same, no broker that we had to do with has
   * gone away and come back.
   */
  get losses(): number {
    return this.#losses;
  }

  /** Leader of a partition as of the last metadata, or ANY_BROKER where unknown. */
  leader(topic: string, partition: number): number {
    return this.#leaders.get(topic)?.[partition] ?? ANY_BROKER;
  }

  /** Sends a request in the newest version both sides know; throws KafkaFault. */
  async request<Args extends unknown[], Result>(
    to: { readonly broker: number; readonly purpose: Purpose },
    api: Versioned<Args, Result>,
    ...args: Args
  ): Promise<Result> {
    const link = await this.#link(to.broker, to.purpose);
    const range = link.versions.get(api.key);
    const chosen = api.versions.findLast(
      (each) => range !== undefined && each.version >= range[0] && each.version <= range[1],
    );
    if (chosen === undefined) {
      throw new KafkaFault(
        'broker',
        KAFKA.UNSUPPORTED_VERSION,
        `${link.where} does not speak request ${api.key}`,
      );
    }
    try {
      return await chosen.async(link.connection, ...args);
    } catch (error) {
      // The response holds the codes of its parts; callers look at those they care for.
      if (error instanceof ResponseError) return error['response'] as Result;
      throw this.#dropped(link, error);
    }
  }

  /** A request we encode ourselves. */
  async raw<T>(
    to: { readonly broker: number; readonly purpose: Purpose },
    request: RawRequest<T>,
  ): Promise<T> {
    const link = await this.#link(to.broker, to.purpose);
    return new Promise((resolve, reject) => {
      link.connection.send<T>(
        request.apiKey,
        request.apiVersion,
        () => {
          const writer = Writer.create();
          request.write(writer);
          return writer;
        },
        request.parse,
        request.flexible,
        request.flexible,
        (error, result) => {
          if (error === null) resolve(result as T);
          else reject(this.#dropped(link, error));
        },
      );
    });
  }

  /** Highest version of a request that broker and we know. */
  async version(
    to: { readonly broker: number; readonly purpose: Purpose },
    apiKey: number,
    ours: number,
  ): Promise<number> {
    const range = (await this.#link(to.broker, to.purpose)).versions.get(apiKey);
    if (range === undefined || range[0] > ours) {
      throw new KafkaFault(
        'broker',
        KAFKA.UNSUPPORTED_VERSION,
        `the broker does not speak request ${apiKey}`,
      );
    }
    return Math.min(ours, range[1]);
  }

  /** Finalised level of a cluster feature (e.g. `transaction.version`), 0 where it is unknown. */
  async feature(name: string): Promise<number> {
    return (await this.#link(ANY_BROKER, 'control')).features.get(name) ?? 0;
  }

  /** Asks for brokers and the given topics, and remembers the leaders. Never creates topics. */
  async metadata(topics: readonly string[], authorizedOperations = false): Promise<MetadataResponse> {
    const response = await this.request(
      { broker: ANY_BROKER, purpose: 'control' },
      METADATA,
      [...topics],
      false,
      authorizedOperations,
    );
    this.#remember(response);
    return response;
  }

  /** As `metadata`, for all topics the principal may see. */
  async allTopics(): Promise<MetadataResponse> {
    const response = await this.request(
      { broker: ANY_BROKER, purpose: 'control' },
      METADATA,
      null,
      false,
      false,
    );
    this.#remember(response);
    return response;
  }

  #remember(response: MetadataResponse): void {
    this.#brokers = new Map(response.brokers.map((broker) => [broker.nodeId, broker]));
    for (const topic of response.topics) {
      if (topic.errorCode !== 0 || topic.name === null || topic.name === undefined) continue;
      const leaders: number[] = [];
      for (const partition of topic.partitions) {
        leaders[partition.partitionIndex] =
          partition.errorCode === KAFKA.LEADER_NOT_AVAILABLE ? ANY_BROKER : partition.leaderId;
      }
      this.#leaders.set(topic.name, leaders);
    }
  }

  /** Node id of the coordinator of a group or a transactional id. */
  async coordinator(type: 'group' | 'transaction', key: string): Promise<number> {
    const response = await this.request(
      { broker: ANY_BROKER, purpose: 'control' },
      FIND_COORDINATOR,
      type === 'group' ? 0 : 1,
      [key],
    );
    const found = response.coordinators[0];
    if (found === undefined || found.errorCode !== 0) {
      throw new KafkaFault(
        'broker',
        found?.errorCode ?? KAFKA.COORDINATOR_NOT_AVAILABLE,
        `no coordinator for ${key}`,
      );
    }
    if (!this.#brokers.has(found.nodeId)) this.#brokers.set(found.nodeId, found);
    return found.nodeId;
  }

  #dropped(link: Link, error: unknown): KafkaFault {
    this.#losses++;
    // After a time-out or a protocol error nothing on this connection can be trusted.
    void link.connection.close().catch(() => {});
    for (const [key, promise] of this.#links) {
      void promise.then(
        (each) => {
          if (each === link && this.#links.get(key) === promise) this.#links.delete(key);
        },
        () => {},
      );
    }
    return asFault(link.trouble() ?? error, link.where);
  }

  #link(broker: number, purpose: Purpose): Promise<Link> {
    if (this.#closed) return Promise.reject(new KafkaFault('network', 0, 'the sink is closed'));
    const key = `${broker}/${purpose}`;
    const existing = this.#links.get(key);
    if (existing !== undefined) return existing;
    const opening = broker === ANY_BROKER ? this.#connectAny() : this.#connectTo(broker);
    this.#links.set(key, opening);
    const forget = (): void => {
      if (this.#links.get(key) === opening) this.#links.delete(key);
    };
    opening.then((link) => {
      link.connection.once('close', () => {
        this.#losses++;
        forget();
      });
    }, forget);
    return opening;
  }

  #connectTo(broker: number): Promise<Link> {
    const address = this.#brokers.get(broker);
    if (address === undefined) {
      return Promise.reject(
        new KafkaFault('broker', KAFKA.LEADER_NOT_AVAILABLE, `broker ${broker} is not in the metadata`),
      );
    }
    return this.#connect(address);
  }

  async #connectAny(): Promise<Link> {
    const seen = new Set<string>();
    let first: KafkaFault | null = null;
    for (const address of [
      ...this.#brokers.values(),
      ...this.options.brokers.map((each) => parseBroker(each)),
    ]) {
      const name = `${address.host}:${address.port}`;
      if (seen.has(name)) continue;
      seen.add(name);
      try {
        return await this.#connect(address);
      } catch (error) {
        const fault = asFault(error, name);
        // A wrong password or certificate says more than another broker's silence.
        if (first === null || (first.kind === 'network' && fault.kind !== 'network')) first = fault;
      }
    }
    throw first ?? new KafkaFault('network', 0, 'no broker is named');
  }

  async #connect(address: Address): Promise<Link> {
    const where = `${address.host}:${address.port}`;
    const options =
      isIP(address.host) === 0
        ? { ...this.#connectionOptions, tlsServerName: address.host }
        : this.#connectionOptions;
    const connection = new Connection(this.options.clientId, options);
    // Failures arrive at the request that meets them; without a listener they would be uncaught.
    let trouble: unknown = null;
    connection.on('error', (error) => {
      trouble = error;
    });
    connection.on('close', () => this.#open.delete(connection));
    this.#open.add(connection);
    try {
      const connecting = connection.connect(address.host, address.port);
      endWhereItThrows(connection.socket);
      await connecting;
      const { versions, features } = await apiVersions(connection);
      if (this.#closed) throw new KafkaFault('network', 0, 'the sink is closed');
      return { connection, where, versions, features, trouble: () => trouble };
    } catch (error) {
      this.#open.delete(connection);
      void connection.close().catch(() => {});
      throw asFault(trouble ?? error, where);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#links.clear();
    const closing = [...this.#open].map((connection) => connection.close().catch(() => {}));
    // A peer that has vanished does not answer the FIN.
    const timer = new AbortController();
    await Promise.race([
      Promise.all(closing),
      sleep(1000, undefined, { signal: timer.signal }).catch(() => {}),
    ]);
    timer.abort();
    for (const connection of this.#open) connection.socket?.destroy();
  }
}

/**
 * The client library throws at a frame that is too short to be one, out of the socket's event, where nobody catches it.
 * It shall cost the connection, and not the process.
 */
function endWhereItThrows(socket: Socket): void {
  const emit = socket.emit.bind(socket) as (event: string | symbol, ...args: unknown[]) => boolean;
  socket.emit = (event: string | symbol, ...args: unknown[]): boolean => {
    if (event !== 'data') return emit(event, ...args);
    try {
      return emit(event, ...args);
    } catch (error) {
      socket.destroy(error instanceof Error ? error : new Error('What the broker sent cannot be read'));
      return true;
    }
  };
}

async function apiVersions(connection: Connection): Promise<Pick<Link, 'versions' | 'features'>> {
  let response: Awaited<ReturnType<typeof apiVersionsV3.api.async>>;
  try {
    response = await apiVersionsV3.api.async(connection, 'headwater', '1');
  } catch (error) {
    if (!(error instanceof ResponseError)) throw error;
    response = await apiVersionsV0.api.async(connection, 'headwater', '1');
  }
  return {
    versions: new Map(response.apiKeys.map((api) => [api.apiKey, [api.minVersion, api.maxVersion] as const])),
    features: new Map((response.finalizedFeatures ?? []).map((each) => [each.name, each.maxVersionLevel])),
  };
}

function connectionOptions(options: ResolvedKafkaOptions): ConnectionOptions {
  const { tls, sasl } = options;
  const result: ConnectionOptions = {
    connectTimeout: options.connectTimeoutMs,
    requestTimeout: options.requestTimeoutMs,
    maxInflights: 64,
  };
  if (tls.mode !== 'off') {
    result.tls = {
      ...(tls.ca === undefined ? {} : { ca: tls.ca }),
      ...(tls.cert === undefined ? {} : { cert: tls.cert }),
      ...(tls.key === undefined ? {} : { key: tls.key }),
      ...(tls.mode === 'require' ? { rejectUnauthorized: false } : {}),
      ...(tls.mode === 'verify-ca' ? { checkServerIdentity: () => undefined } : {}),
    };
  }
  if (sasl !== undefined) {
    result.sasl = {
      mechanism: sasl.mechanism,
      ...(sasl.username === undefined ? {} : { username: sasl.username }),
      ...(sasl.password === undefined ? {} : { password: sasl.password }),
      ...(sasl.token === undefined ? {} : { token: sasl.token }),
      ...(sasl.mechanism.startsWith('SCRAM-') ? { authenticate: scramLogin } : {}),
    };
  }
  return result;
}

/** `host:port`, `host`, `[::1]:port`; the port defaults to 9092. */
function parseBroker(text: string): Address {
  const bracketed = /^\[([^\]]+)\](?::(\d+))?$/.exec(text);
  if (bracketed) return { host: bracketed[1]!, port: Number(bracketed[2] ?? 9092) };
  const at = text.lastIndexOf(':');
  if (at === -1 || text.indexOf(':') !== at) return { host: text, port: 9092 };
  return { host: text.slice(0, at), port: Number(text.slice(at + 1)) };
}
