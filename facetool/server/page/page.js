// The page: photos and the webcam on the left, enrolled people and their map on the right.

import { embed, info, map } from "./client.js";
import { byId, make } from "./dom.js";
import { drawMap } from "./map.js";
import { comparable, People } from "./people.js";
import { portrait, Stage } from "./stage.js";
import { Webcam } from "./webcam.js";

const LONGEST = 1600; // pixels of the photos that are sent
const MOST_PHOTOS = 60;

const about = await info().catch((error) => {
  say(error.message, true);
  throw error;
});
const people = new People({
  most: about.limits.map_rows,
  threshold: about.threshold?.squared_l2 ?? null,
});
const stage = new Stage(byId("canvas"), (face) => people.identify(face), (name) => people.colour(name));
const webcam = new Webcam(findFaces, showFrame, (error) => say(error.message, true));
const photos = [];
let current = null; // of photos
let naming = null; // the face whose name is being typed, with its picture

const known = about.people?.length === 1 ? "1 person" : `${about.people?.length} people`;
byId("about").textContent = [about.weights || about.network, about.detector,
  about.people ? `knows ${known}` : ""].filter(Boolean).join(" · ");

function say(text, bad = false) {
  const status = byId("status");
  status.textContent = text;
  status.classList.toggle("bad", bad);
}

/** The faces of a photo, ready to be compared. */
async function findFaces(photo) {
  const begun = performance.now();
  const answer = await embed(photo);
  const faces = answer.faces.map(({ box, embedding, name, confidence }) => ({
    box,
    vector: comparable(embedding, about.unit_length),
    named: name === undefined ? null : { name, confidence },
  }));
  const count = faces.length === 1 ? "1 face" : `${faces.length} faces`;
  const found = faces.length ? [count, ...(answer.remarks ?? [])] : [answer.reason];
  say([...found, `${Math.round(performance.now() - begun)} ms`].join(" · "));
  return faces;
}

// Photos

/** A photo as pixels, upright and no larger than needed. */
async function load(file) {
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, LONGEST / Math.max(bitmap.width, bitmap.height));
  const image = make("canvas", {
    width: Math.round(bitmap.width * scale),
    height: Math.round(bitmap.height * scale),
  });
  image.getContext("2d").drawImage(bitmap, 0, 0, image.width, image.height);
  bitmap.close();
  return image;
}

async function add(files) {
  stopWebcam();
  for (const file of files) {
    if (photos.length >= MOST_PHOTOS) {
      say(`no more than ${MOST_PHOTOS} photos at a time`, true);
      return;
    }
    const photo = { name: file.name, image: null, faces: [], busy: true };
    try {
      photo.image = await load(file);
    } catch {
      say(`${file.name}: this browser cannot show it`, true);
      continue;
    }
    photos.push(photo);
    select(photo);
    try {
      const blob = await new Promise((done) => photo.image.toBlob(done, "image/jpeg", 0.95));
      photo.faces = await findFaces(blob);
    } catch (error) {
      say(`${file.name}: ${error.message}`, true);
    }
    photo.busy = false;
    if (current === photo) select(photo);
    else showStrip();
  }
}

function select(photo) {
  stopWebcam();
  current = photo;
  closeNaming();
  byId("hint").hidden = true;
  stage.show(photo.image, photo.image.width, photo.image.height, photo.faces);
  showFaces(photo.image, photo.faces);
  showStrip();
}

function showStrip() {
  const buttons = photos.map((photo) => {
    const { width, height } = photo.image;
    const edge = Math.min(width, height);
    const box = [(width - edge) / 2, (height - edge) / 2, (width + edge) / 2, (height + edge) / 2];
    photo.thumbnail ??= portrait(photo.image, shrink(box, 1.45), false, 144);
    const button = make("button", { title: photo.name, className: photo.busy ? "busy" : "" }, photo.thumbnail);
    button.setAttribute("aria-pressed", photo === current);
    button.setAttribute("aria-label", photo.name);
    button.addEventListener("click", () => select(photo));
    return button;
  });
  byId("strip").replaceChildren(...buttons);
}

/** The box around which portrait shows the given one. */
function shrink([left, top, right, bottom], factor) {
  const x = (left + right) / 2, edge = (right - left) / factor;
  const y = (top + bottom) / 2 + (right - left) * 0.04;
  return [x - edge / 2, y - edge / 2, x + edge / 2, y + edge / 2];
}

// Faces of the photo or frame that is shown

function showFaces(source, faces, mirrored = false) {
  const sign = mirrored ? -1 : 1;
  const ordered = [...faces].sort((a, b) => sign * (a.box[0] - b.box[0]));
  const buttons = ordered.map((face) => {
    const { name, similarity, sure } = people.identify(face);
    const button = make("button", { type: "button" }, portrait(source, face.box, mirrored, 60),
      name ? (sure ? name : `${name}?`) : "Name this face");
    if (similarity !== null) {
      button.append(make("span", { className: "similarity" }, similarity.toFixed(2)));
    }
    button.addEventListener("click", () => openNaming(face));
    return button;
  });
  byId("faces").replaceChildren(...buttons);
}

function openNaming(face) {
  const { source, mirrored } = stage.shown;
  naming = { face, picture: portrait(source, face.box, mirrored) };
  const form = byId("naming");
  const known = people.identify(face).name;
  byId("face").getContext("2d").drawImage(naming.picture, 0, 0);
  byId("name").value = known ?? "";
  byId("names").replaceChildren(...[...people.groups().keys()].map((value) => make("option", { value })));
  form.hidden = false;
  const { x, y } = stage.below(face);
  const room = byId("stage");
  form.style.left = `${Math.max(8, Math.min(x - form.offsetWidth / 2, room.clientWidth - form.offsetWidth - 8))}px`;
  form.style.top = `${Math.max(8, Math.min(y + 8, room.clientHeight - form.offsetHeight - 8))}px`;
  byId("name").select();
}

function closeNaming() {
  byId("naming").hidden = true;
  naming = null;
}

function enrol(event) {
  event.preventDefault();
  const name = byId("name").value.trim().replace(/\s+/g, " ");
  if (!name || !naming) return;
  try {
    people.enrol(naming.face, name, naming.picture);
  } catch (error) {
    say(error.message, true);
  }
  closeNaming();
  peopleChanged();
}

// People

function peopleChanged() {
  const rows = [...people.groups()].map(([name, faces]) => {
    const remove = make("button", { className: "small", title: `Remove ${name}` }, "Remove");
    remove.addEventListener("click", () => {
      people.remove(name);
      peopleChanged();
    });
    const picture = make("canvas", { width: 96, height: 96 });
    picture.getContext("2d").drawImage(faces[0].picture, 0, 0);
    const count = faces.length === 1 ? "1 face" : `${faces.length} faces`;
    const who = make("div", { className: "who" }, make("b", { title: name }, name),
      make("span", { className: "soft" }, count));
    who.style.setProperty("--colour", people.colour(name));
    return make("li", {}, picture, who, remove);
  });
  byId("people").replaceChildren(...rows);
  byId("nobody").hidden = rows.length > 0;
  stage.draw();
  if (webcam.on) showFaces(stage.shown?.source, listed, true);
  else if (current) showFaces(current.image, current.faces);
  drawPeopleMap();
}

async function drawPeopleMap() {
  const faces = [...people.faces];
  const canvas = byId("map");
  canvas.hidden = faces.length < 2;
  byId("too-few").hidden = faces.length >= 2;
  byId("method").textContent = "";
  if (faces.length < 2) return;
  try {
    const { method, points } = await map(faces.map((face) => Array.from(face.vector)));
    if (faces.length !== people.faces.length) return; // a later one is on its way
    byId("method").textContent = `${method} of ${faces.length} faces`;
    drawMap(canvas, points, faces, (name) => people.colour(name));
  } catch (error) {
    say(error.message, true);
  }
}

// Webcam

const REACHING = 1500; // ms for which buttons stay under a pointer that has moved there
let listed = []; // the faces that have buttons
let reached = -REACHING;

function showFrame(video, faces) {
  byId("hint").hidden = true;
  stage.show(video, video.videoWidth, video.videoHeight, faces, true);
  // A button that is about to be clicked stays.
  const stays = performance.now() - reached < REACHING || byId("faces").matches(":focus-within");
  if (faces !== listed && !stays) {
    listed = faces;
    showFaces(video, faces, true);
  }
}

async function toggleWebcam() {
  if (webcam.on) {
    stopWebcam();
    return;
  }
  current = null;
  listed = [];
  closeNaming();
  showStrip();
  try {
    await webcam.start();
    byId("webcam").textContent = "Stop webcam";
  } catch (error) {
    say(`webcam: ${error.message}`, true);
  }
}

function stopWebcam() {
  webcam.stop();
  byId("webcam").textContent = "Use webcam";
}

// What the user does

byId("choose").addEventListener("click", () => byId("files").click());
byId("files").addEventListener("change", (event) => {
  add([...event.target.files]);
  event.target.value = "";
});
byId("webcam").addEventListener("click", toggleWebcam);
byId("naming").addEventListener("submit", enrol);
byId("cancel").addEventListener("click", closeNaming);
byId("faces").addEventListener("pointermove", () => {
  reached = performance.now();
});
byId("canvas").addEventListener("click", (event) => {
  const face = stage.faceAt(event.clientX, event.clientY);
  if (face) openNaming(face);
  else closeNaming();
});
byId("canvas").addEventListener("mousemove", (event) => {
  byId("canvas").style.cursor = stage.faceAt(event.clientX, event.clientY) ? "pointer" : "";
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") closeNaming();
});
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  byId("stage").classList.add("over");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) byId("stage").classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  byId("stage").classList.remove("over");
  add([...event.dataTransfer.files].filter((file) => file.type.startsWith("image/")));
});
addEventListener("resize", () => drawPeopleMap());
