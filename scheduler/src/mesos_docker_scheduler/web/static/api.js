// Asks the scheduler. Who has logged in is known by a cookie that no script can read; the token is kept nowhere.

export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

// `session`: {name, role} of who is logged in; null: nobody.
export class Api extends EventTarget {
  // `askForToken(why)` asks the person; it resolves to null when there is none.
  constructor(askForToken) {
    super();
    this.askForToken = askForToken;
    this.session = null;
  }

  // Finds out whether somebody has logged in already, here or in another tab.
  async begin() {
    const caller = await this.get("/v1/session");
    this.take(caller.name === null ? null : caller);
  }

  take(session) {
    this.session = session;
    this.dispatchEvent(new Event("session"));
  }

  async read(path, options = {}) {
    const response = await this.send(path, options);
    if (response.status === 401 && this.session !== null) this.take(null); // the session has ended
    if (!response.ok) throw await errorOf(response);
    return response;
  }

  async get(path, options = {}) {
    return (await this.read(path, options)).json();
  }

  // Asks for what needs somebody to be logged in; null when nobody does.
  async authorized(path, options = {}) {
    if (this.session === null) await this.begin();
    for (;;) {
      if (this.session === null && (await this.logIn()) === null) return null;
      const response = await this.send(path, options);
      if (response.ok) return response.json();
      const error = await errorOf(response);
      if (error.status !== 401) throw error;
      this.take(null); // the session has ended
    }
  }

  async logIn() {
    for (let why = ""; ; ) {
      const token = await this.askForToken(why);
      if (token === null) return null;
      const headers = { "Content-Type": "application/json" };
      const response = await this.send("/v1/session/begin", { method: "POST", headers, body: JSON.stringify({ token }) });
      if (response.ok) {
        this.take(await response.json());
        return this.session;
      }
      const error = await errorOf(response);
      why = error.status === 401 ? "The token is wrong." : `Not now: ${error.message}.`;
    }
  }

  async logOut() {
    const response = await this.send("/v1/session/end", { method: "POST" });
    if (!response.ok) throw await errorOf(response);
    this.take(null);
  }

  async send(path, options) {
    try {
      const response = await fetch(path, { ...options, cache: "no-store", credentials: "same-origin", redirect: "manual" });
      if (response.type !== "opaqueredirect") return response;
    } catch (error) {
      throw new ApiError(0, options.signal?.aborted ? "the scheduler has been silent for too long" : "the scheduler does not answer");
    }
    throw new ApiError(307, "another scheduler leads, and changes are made there");
  }
}

async function errorOf(response) {
  let text = `HTTP ${response.status}`;
  try {
    text = (await response.json()).error ?? text;
  } catch {
    // The answer is no JSON: something stands between the scheduler and us.
  }
  return new ApiError(response.status, text);
}

export function servicePath(name, ...rest) {
  return ["/v1/services", encodeURIComponent(name), ...rest].join("/");
}

export function instancePath(taskId, ...rest) {
  return ["/v1/instances", encodeURIComponent(taskId), ...rest].join("/");
}
