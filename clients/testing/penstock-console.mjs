// Assert on events in tests: a session of the Penstock console, for node:test, vitest and Playwright.
// One file without dependencies; copy it next to your tests. Each session sees its own events alone, so tests run in
// parallel. What an expectation may hold is in docs/CONSOLE.md of Penstock.
import assert from "node:assert/strict";

export class ConsoleSession {
  // `url` is the admin address; `token` that of console.token_file, if the service has one. The other options are those
  // of the session: `dry`, `strict`, `verbose`, `ttl_s`, `max_bytes`.
  static async begin({
    url = process.env.CONSOLE_URL ?? "http://127.0.0.1:8193", token = process.env.CONSOLE_TOKEN ?? "", ...options
  } = {}) {
    const session = new ConsoleSession();
    session.base = `${url.replace(/\/$/, "")}/console/api/v1`;
    session.token = token;
    session.id = (await session.ask("POST", "/sessions", options)).id;
    return session;
  }

  // The header that marks requests of this session, and the same for a URL.
  get headers() { return { "X-Penstock-Test": this.id }; }
  get query() { return `test=${this.id}`; }

  // Waits in the service. Resolves with the events, or rejects with an AssertionError that has the closest miss.
  async expect(order = {}) {
    const answer = await this.look(order);
    if (!answer.matched) assert.fail(report(answer));
    return answer.events;
  }

  expectNone(order = {}) {
    return this.expect({ settle_ms: 300, ...order, exactly: 0 });
  }

  look(order) {
    return this.ask("POST", "/expect", { session: this.id, ...order });
  }

  chaos(...rules) {
    return this.ask("PUT", `/sessions/${this.id}/chaos`, { rules });
  }

  close() {
    return this.ask("DELETE", `/sessions/${this.id}`);
  }

  async ask(method, path, body) {
    const headers = { "Content-Type": "application/json" };
    if (this.token) headers.Authorization = `Bearer ${this.token}`;
    const answer = await fetch(this.base + path, { method, headers, body: body && JSON.stringify(body) });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${text}`);
    return text ? JSON.parse(text) : {};
  }
}

export function report(answer) {
  const lines = [answer.why];
  if (answer.closest) {
    lines.push(`closest (${Math.round(answer.closest.likeness * 100)} % as expected): ${JSON.stringify(answer.closest.event)}`);
    for (const miss of answer.closest.misses) {
      lines.push(`  ${miss.term ?? `${miss.path} = ${JSON.stringify(miss.expected)}`}: found ${JSON.stringify(miss.found)}`);
    }
  }
  for (const one of answer.invalid) lines.push(`not accepted: ${one.facts.stream ?? ""}: ${one.facts.text ?? ""}`);
  return lines.join("\n");
}

const sessions = new WeakMap(); // The session of a page of Playwright.

// For vitest, jest and Playwright: expect.extend(matchers), then await expect(session).toEmitEvent({ where: "…" }). With
// Playwright's fixture, expect(page) is the same as its session.
export const matchers = {
  async toEmitEvent(received, order) {
    const session = sessions.get(received) ?? received;
    const answer = await session.look(this.isNot ? { settle_ms: 300, ...order, exactly: 0 } : order);
    const pass = this.isNot ? !answer.matched : answer.matched;
    return { pass, message: () => (answer.matched ? `${answer.count} events came` : report(answer)) };
  },
};

// For Playwright: const test = base.extend(fixtures). Each test gets `penstock`, and its page's requests to the intake carry
// the session. `intake` is a pattern of the intake's URLs, `session` the options of ConsoleSession.begin.
export const fixtures = {
  intake: ["**/v1/**", { option: true }],
  session: [{}, { option: true }],
  penstock: async ({ page, intake, session: options }, use) => {
    const session = await ConsoleSession.begin(options);
    sessions.set(page, session);
    await page.route(intake, (route) => {
      const url = route.request().url(); // The event of a pixel is in its query, which must stay as it is.
      return route.continue({ url: `${url}${url.includes("?") ? "&" : "?"}${session.query}` });
    });
    await use(session);
    await session.close();
  },
};
