"use strict";
// The clip's one clock: every picture, curve and mark shows the frame that it says.
(() => {
  const REST_S = 0.5; // on the last frame, before the clip begins again
  const SPEEDS = [0.1, 0.25, 0.5, 1, 2];

  physreel.Player = class {
    constructor(frames, rate) {
      Object.assign(this, { frames, rate, frame: 0, playing: false, speed: 1, listeners: [], alive: true });
    }
    on(listener) { this.listeners.push(listener); listener(this.frame); }
    tell() { for (const listener of this.listeners) listener(this.frame); }
    show(frame) {
      this.frame = physreel.clamp(Math.round(frame), 0, this.frames - 1);
      this.begun = null;
      this.tell();
    }
    step(count) { this.pause(); this.show(this.frame + count); }
    showTime(seconds) { this.show(Math.floor(seconds * this.rate + 1e-6)); }
    get seconds() { return this.frame / this.rate; }
    faster(count) {
      this.speed = SPEEDS[physreel.clamp(SPEEDS.indexOf(this.speed) + count, 0, SPEEDS.length - 1)];
      this.begun = null;
      this.tell();
    }
    toggle() { if (this.playing) this.pause(); else this.play(); }
    pause() { this.playing = false; this.tell(); }
    play() {
      if (this.playing || this.frames < 2) return;
      this.playing = true;
      this.begun = null;
      if (this.frame === this.frames - 1) this.frame = 0;
      requestAnimationFrame((now) => this.tick(now));
      this.tell();
    }
    // counted from when it began, so that no rounding of single steps adds up
    tick(now) {
      if (!this.playing || !this.alive) return;
      this.begun ??= { now, frame: this.frame };
      const gone = this.begun.frame + (now - this.begun.now) / 1000 * this.rate * this.speed;
      if (gone >= this.frames + REST_S * this.rate * this.speed) {
        this.frame = 0;
        this.begun = null;
        this.tell();
      } else if (Math.min(Math.floor(gone), this.frames - 1) !== this.frame) {
        this.frame = Math.min(Math.floor(gone), this.frames - 1);
        this.tell();
      }
      requestAnimationFrame((later) => this.tick(later));
    }
  };
  physreel.Player.SPEEDS = SPEEDS;
})();
