"use strict";
// Frames of a clip on sheets: loading them, and drawing one frame on a canvas.
(() => {
  physreel.Sheets = class {
    // layout: frames, width, height, columns, per_sheet, every (view/pictures.py)
    constructor(layout, addresses) {
      this.layout = layout;
      this.addresses = addresses;
      this.pictures = [];
      this.failed = false;
      this.onready = () => {};
    }

    load() {
      if (this.pictures.length) return;
      this.pictures = this.addresses.map((address) => {
        const picture = new Image();
        picture.decoding = "async";
        picture.onload = () => this.onready();
        picture.onerror = () => { this.failed = true; this.onready(); };
        picture.src = address;
        return picture;
      });
    }

    unload() { this.pictures = []; }

    // false while its sheet is on the way
    draw(context, frame) {
      const { width, height, columns, per_sheet: most } = this.layout;
      const picture = this.pictures[Math.floor(frame / most)];
      if (!picture?.complete || !picture.naturalWidth) return false;
      const at = frame % most;
      context.drawImage(picture, (at % columns) * width, Math.floor(at / columns) * height,
        width, height, 0, 0, width, height);
      return true;
    }
  };

  physreel.sheetsOf = (source, episode, channel) => {
    const count = Math.ceil(episode.sheets.frames / episode.sheets.per_sheet);
    return new physreel.Sheets(episode.sheets,
      Array.from({ length: count }, (_, part) => source.sheet(episode.id, channel, part)));
  };
})();
