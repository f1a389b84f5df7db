// The browser's own camera.

const WANTED = { width: { ideal: 640 }, height: { ideal: 480 }, facingMode: "user" };
const LONGER_SIDE = 640;
const QUALITY = 0.8;
const REFUSALS = {
  NotAllowedError: "The browser may not use its camera. Allow it beside the page's address, then press the button again.",
  NotFoundError: "This browser finds no camera. Plug one in, then press the button again.",
  NotReadableError: "The camera cannot be read. Close other programs that use it, then press the button again.",
};

export class BrowserCamera {
  // onEnded: called when the camera is unplugged or its permission taken back.
  constructor(onEnded) {
    this.onEnded = onEnded;
    this.canvas = document.createElement("canvas");
    this.media = this.video = null;
  }

  // Returns "" or, in one line, why there is no camera.
  async open() {
    this.close();
    if (!navigator.mediaDevices) {
      return "Browsers give their camera only to pages of this machine (127.0.0.1) or over https.";
    }
    try {
      this.media = await navigator.mediaDevices.getUserMedia({ video: WANTED });
    } catch (error) {
      return REFUSALS[error.name] ?? error.message;
    }
    this.video = Object.assign(document.createElement("video"), { muted: true, playsInline: true, srcObject: this.media });
    this.media.getVideoTracks()[0].addEventListener("ended", this.onEnded);
    await this.video.play();
    return "";
  }

  close() {
    for (const track of this.media?.getTracks() ?? []) {
      track.removeEventListener("ended", this.onEnded);
      track.stop();
    }
    this.media = this.video = null;
  }

  // The next frame that the camera gives, not one that has waited; null where it was closed meanwhile.
  async nextFrame() {
    const video = this.video;
    if (!video) return null;
    await new Promise((done) => (video.requestVideoFrameCallback ?? requestAnimationFrame).call(
      video.requestVideoFrameCallback ? video : window, done));
    if (video !== this.video || !video.videoWidth) return null;
    const captured = performance.now();
    const scale = Math.min(1, LONGER_SIDE / Math.max(video.videoWidth, video.videoHeight));
    this.canvas.width = Math.round(video.videoWidth * scale);
    this.canvas.height = Math.round(video.videoHeight * scale);
    this.canvas.getContext("2d").drawImage(video, 0, 0, this.canvas.width, this.canvas.height);
    const [image, jpeg] = await Promise.all([
      createImageBitmap(this.canvas), new Promise((done) => this.canvas.toBlob(done, "image/jpeg", QUALITY)),
    ]);
    return { image, jpeg, captured };
  }
}
