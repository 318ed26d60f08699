// The webcam's image, sent to the server frame by frame: the next one once the last is answered.

const LONGEST = 640;

export class Webcam {
  /**
   * @param {function(Blob): Promise<Array>} find the faces of a frame, in its pixels
   * @param {function(HTMLVideoElement, Array): void} show the newest image and faces
   * @param {function(Error): void} failed
   */
  constructor(find, show, failed) {
    this.find = find;
    this.show = show;
    this.failed = failed;
    this.stream = null;
  }

  get on() {
    return this.stream !== null;
  }

  async start() {
    if (!navigator.mediaDevices) {
      throw new Error("browsers give the webcam to pages from this machine or over HTTPS only");
    }
    const video = { width: { ideal: 1280 }, height: { ideal: 720 }, facingMode: "user" };
    this.stream = await navigator.mediaDevices.getUserMedia({ video, audio: false });
    this.video = document.createElement("video");
    Object.assign(this.video, { srcObject: this.stream, muted: true, playsInline: true });
    await this.video.play();
    this.faces = [];
    this.#draw();
    this.#ask();
  }

  stop() {
    this.stream?.getTracks().forEach((track) => track.stop());
    this.stream = null;
  }

  #draw() {
    if (!this.on) return;
    this.show(this.video, this.faces);
    requestAnimationFrame(() => this.#draw());
  }

  async #ask() {
    const frame = document.createElement("canvas");
    while (this.on) {
      const { videoWidth: width, videoHeight: height } = this.video;
      const scale = Math.min(1, LONGEST / Math.max(width, height));
      frame.width = Math.round(width * scale);
      frame.height = Math.round(height * scale);
      frame.getContext("2d").drawImage(this.video, 0, 0, frame.width, frame.height);
      const photo = await new Promise((done) => frame.toBlob(done, "image/jpeg", 0.9));
      try {
        const faces = await this.find(photo);
        for (const face of faces) face.box = face.box.map((edge) => edge / scale);
        this.faces = faces;
      } catch (error) {
        this.failed(error);
        await new Promise((done) => setTimeout(done, 1000));
      }
      // A tab in the background has no frames to show, and asks for nothing.
      await new Promise((done) => requestAnimationFrame(done));
    }
  }
}
