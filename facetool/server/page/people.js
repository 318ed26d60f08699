// Who was enrolled in this tab, and who a face is most like.

const COLOURS = ["#4f8cff", "#ff8a3d", "#22b07d", "#e0559d", "#9a6bff", "#d4a017", "#17b0c4", "#e5534b"];

export const UNKNOWN_COLOUR = "#aab2bf";

/** Unit length, where the network says that its embeddings are compared so. */
export function comparable(embedding, unitLength) {
  const vector = Float32Array.from(embedding);
  if (!unitLength) return vector;
  const length = Math.hypot(...vector) || 1;
  return vector.map((value) => value / length);
}

function squaredL2(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) ** 2;
  return sum;
}

function cosine(a, b) {
  let dot = 0, one = 0, other = 0;
  for (let i = 0; i < a.length; i++) {
    dot += a[i] * b[i];
    one += a[i] * a[i];
    other += b[i] * b[i];
  }
  return dot / (Math.sqrt(one * other) || 1);
}

export class People {
  /** @param {{most: number, threshold: ?number}} settings most faces; squared L2 of the same person */
  constructor({ most, threshold }) {
    this.most = most;
    this.threshold = threshold;
    this.faces = []; // {name, vector, picture}, in the order of their enrolment
    this.names = []; // in the order of their first enrolment, which their colours keep
  }

  /** Enrol a face; one that was enrolled gets the new name. */
  enrol(face, name, picture) {
    this.forget((known) => known.vector === face.vector);
    if (this.faces.length >= this.most) throw new Error(`no more than ${this.most} faces`);
    if (!this.names.includes(name)) this.names.push(name);
    this.faces.push({ name, vector: face.vector, picture });
  }

  remove(name) {
    this.forget((known) => known.name === name);
  }

  forget(unwanted) {
    this.faces = this.faces.filter((known) => !unwanted(known));
  }

  colour(name) {
    const number = this.names.indexOf(name);
    return number < 0 ? COLOURS[hash(name) % COLOURS.length] : COLOURS[number % COLOURS.length];
  }

  /** Name to enrolled faces. */
  groups() {
    return Map.groupBy ? Map.groupBy(this.faces, (face) => face.name) : groupBy(this.faces);
  }

  /**
   * Who a face is: by the nearest enrolled one, or else by the server's classifier.
   * @returns {{name: ?string, similarity: ?number, sure: boolean}} not sure: there is no threshold
   */
  identify(face) {
    let nearest = null, distance = Infinity;
    for (const known of this.faces) {
      const d = squaredL2(known.vector, face.vector);
      if (d < distance) [nearest, distance] = [known, d];
    }
    if (nearest && (this.threshold === null || distance < this.threshold)) {
      const similarity = cosine(nearest.vector, face.vector);
      return { name: nearest.name, similarity, sure: this.threshold !== null };
    }
    if (face.named && face.named.name !== "unknown") {
      return { name: face.named.name, similarity: face.named.confidence, sure: true };
    }
    return { name: null, similarity: null, sure: true };
  }
}

function groupBy(faces) {
  const groups = new Map();
  for (const face of faces) groups.set(face.name, [...(groups.get(face.name) ?? []), face]);
  return groups;
}

function hash(text) {
  let value = 7;
  for (const letter of text) value = (value * 31 + letter.codePointAt(0)) >>> 0;
  return value;
}
