// The interface's description as a page, with a form to try each address.

import { openapi, send } from "./client.js";
import { byId, make } from "./dom.js";

function typeOf(schema) {
  if (schema.type === "array") return `[${typeOf(schema.items)}]`;
  if (schema.enum) return schema.enum.join(" | ");
  return [].concat(schema.type).join(" or ");
}

function fields(schema, before = "") {
  const rows = [];
  for (const [name, inner] of Object.entries(schema.properties ?? {})) {
    const key = before ? `${before}.${name}` : name;
    rows.push([key, typeOf(inner), inner.description ?? ""]);
    const nested = inner.type === "array" ? inner.items : inner;
    rows.push(...fields(nested, inner.type === "array" ? `${key}[]` : key));
  }
  return rows;
}

function table(rows) {
  const body = rows.map(([name, ...cells]) =>
    make("tr", {}, make("td", {}, make("code", {}, name)), ...cells.map((c) => make("td", {}, c))));
  return make("table", {}, make("tbody", {}, ...body));
}

function tryForm(path, method, photos) {
  const output = make("pre", { hidden: true });
  const inputs = photos.map((name) => make("input", { type: "file", name, accept: "image/*" }));
  const choices = (method.parameters ?? []).map(({ name, schema }) => {
    const values = schema.enum ?? ["false", "true"];
    const options = values.map((value) => make("option", { value }, `${name}=${value}`));
    const select = make("select", { name, title: name }, ...options);
    select.value = String(schema.default);
    return select;
  });
  const form = make("form", {}, ...inputs, ...choices, make("button", { className: "small" }, "Try"));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const query = new URLSearchParams(choices.map((select) => [select.name, select.value]));
    const given = inputs.filter((input) => input.files.length);
    try {
      const files = Object.fromEntries(given.map((input) => [input.name, input.files[0]]));
      output.textContent = JSON.stringify(await send(`${path}?${query}`, files), shorten, 1);
    } catch (error) {
      output.textContent = error.message;
    }
    output.hidden = false;
  });
  return [make("h3", {}, "Try it"), form, output];
}

/** Embeddings are long. */
function shorten(key, value) {
  if (key !== "embedding") return value;
  return `${value.slice(0, 4).map((n) => n.toFixed(4)).join(", ")}, … (${value.length} numbers)`;
}

function section(path, verb, method) {
  const head = make("summary", {},
    make("span", { className: `method ${verb}` }, verb.toUpperCase()),
    make("code", {}, path), make("span", { className: "soft" }, method.summary));
  const parts = [];
  const form = method.requestBody?.content["multipart/form-data"]?.schema;
  const photos = form?.required ?? [];
  if (photos.length) {
    const files = photos.map((name) => ` -F ${name}=@${name}.jpg`).join("");
    parts.push(make("pre", {}, `curl${files} ${location.origin}${path}`));
  }
  if (method.parameters?.length) {
    const rows = method.parameters.map((p) =>
      [p.name, typeOf(p.schema), `${p.description}; default: ${p.schema.default}`]);
    parts.push(make("h3", {}, "Query"), table(rows));
  }
  const done = method.responses["200"].content["application/json"]?.schema;
  if (done) parts.push(make("h3", {}, "Answer"), table(fields(done)));
  const errors = Object.entries(method.responses).filter(([status]) => status !== "200");
  if (errors.length) {
    const rows = errors.map(([status, { description }]) => [status, description]);
    const shape = make("pre", {}, '{"error": {"status": 422, "reason": "no face found"}}');
    parts.push(make("h3", {}, "Errors"), shape, table(rows));
  }
  if (photos.length) parts.push(...tryForm(path, method, photos));
  return make("details", { className: "card" }, head, ...parts);
}

const description = await openapi();
byId("about").textContent = description.info.description;
for (const [path, methods] of Object.entries(description.paths)) {
  for (const [verb, method] of Object.entries(methods)) {
    byId("paths").append(section(path, verb, method));
  }
}
