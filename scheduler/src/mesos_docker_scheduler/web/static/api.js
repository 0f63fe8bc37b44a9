// Asks the scheduler, with the token where it is needed. The token stays in this tab, and out of the document.

const KEY = "mesos-docker-scheduler token";

export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export class Api extends EventTarget {
  // `askForToken(why)` asks the person; it resolves to null when there is none.
  constructor(askForToken) {
    super();
    this.askForToken = askForToken;
    this.readsNeedToken = false;
  }

  get token() {
    return sessionStorage.getItem(KEY);
  }

  set token(value) {
    if (value === null) sessionStorage.removeItem(KEY);
    else sessionStorage.setItem(KEY, value);
    this.dispatchEvent(new Event("token"));
  }

  // Reads as anybody may, until that is refused: a wrong token would keep out of what is open to all.
  async read(path, options = {}) {
    const response = await this.send(path, options, this.readsNeedToken && this.token !== null);
    if (response.status === 401 && !this.readsNeedToken) {
      this.readsNeedToken = true;
      if (this.token !== null) return this.read(path, options);
    }
    if (!response.ok) throw await errorOf(response);
    return response;
  }

  async get(path, options = {}) {
    return (await this.read(path, options)).json();
  }

  // Asks for what needs the token; null when nobody gives it.
  async authorized(path, options = {}) {
    for (let why = ""; ; why = "The token is wrong.") {
      if (this.token === null && (await this.enterToken(why)) === null) return null;
      const response = await this.send(path, options, true);
      if (response.ok) return response.json();
      const error = await errorOf(response);
      if (error.status !== 401) throw error;
      this.token = null;
    }
  }

  async enterToken(why = "") {
    const token = await this.askForToken(why);
    if (token !== null) this.token = token;
    return token;
  }

  async send(path, options, withToken) {
    const headers = { ...options.headers };
    if (withToken) headers.Authorization = `Bearer ${this.token}`;
    try {
      return await fetch(path, { ...options, headers, cache: "no-store", credentials: "omit" });
    } catch (error) {
      throw new ApiError(0, options.signal?.aborted ? "the scheduler has been silent for too long" : "the scheduler does not answer");
    }
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
