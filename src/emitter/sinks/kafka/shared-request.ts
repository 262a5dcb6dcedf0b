/**
 * Many questions of one kind, few requests: what is asked in one turn, or while the request before is under way, goes
 * out together. One request at a time, with at most `most` questions; a request that fails fails those in it.
 */
export class SharedRequest<Question, Answer> {
  readonly #most: number;
  readonly #send: (questions: readonly Question[]) => Promise<readonly Answer[]>;
  #waiting: Waiting<Question, Answer>[] = [];
  #sending = false;

  /** `send` answers in the order of the questions. */
  constructor(most: number, send: (questions: readonly Question[]) => Promise<readonly Answer[]>) {
    this.#most = most;
    this.#send = send;
  }

  ask(question: Question): Promise<Answer> {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    this.#waiting.push({ question, resolve, reject });
    if (!this.#sending) {
      this.#sending = true;
      queueMicrotask(() => void this.#drain());
    }
    return promise;
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) {
      const asked = this.#waiting.splice(0, this.#most);
      try {
        const answers = await this.#send(asked.map(({ question }) => question));
        asked.forEach(({ resolve }, i) => resolve(answers[i]!));
      } catch (error) {
        for (const { reject } of asked) reject(error);
      }
    }
    this.#sending = false;
  }
}

interface Waiting<Question, Answer> {
  readonly question: Question;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}
