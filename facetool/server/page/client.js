// What the page asks of the server.

/** The server's own reason why it did not do what was asked. */
export class ServerError extends Error {
  constructor(status, reason) {
    super(reason);
    this.status = status;
  }
}

async function answer(response) {
  let body = null;
  try {
    body = await response.json();
  } catch {
    throw new ServerError(response.status, `the server answered with status ${response.status}`);
  }
  if (!response.ok) throw new ServerError(response.status, body.error.reason);
  return body;
}

async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new ServerError(0, "the server cannot be reached");
  }
  return answer(response);
}

/** Network, detector, threshold, limits. */
export const info = () => ask("/info");

/** The interface's description. */
export const openapi = () => ask("/openapi.json");

/**
 * Send photos as a form.
 * @param {string} path with its query
 * @param {Object<string, Blob>} photos by the form's names
 */
export function send(path, photos) {
  const body = new FormData();
  for (const [name, photo] of Object.entries(photos)) body.append(name, photo, photo.name ?? name);
  return ask(path, { method: "POST", body });
}

/** The faces of a photo with embeddings and, where the server has a classifier, names. */
export const embed = (photo) => send("/embed?select=all&names=true", { image: photo });

/** Embeddings as points of a plane: {method, points}. */
export function map(embeddings) {
  const headers = { "Content-Type": "application/json" };
  return ask("/map", { method: "POST", headers, body: JSON.stringify({ embeddings }) });
}
