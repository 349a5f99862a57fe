"use strict";
// Scrubber, buttons, and under it the shots and the events, a line a kind. A click goes there.
(() => {
  const { el, seconds, words } = physreel;
  const ORDER = ["change", "cut", "release", "catch", "landing", "contact", "apex", "occlusion", "out_of_frame"];
  const rank = (kind) => (ORDER.includes(kind) ? ORDER.indexOf(kind) : ORDER.length);

  physreel.saidOf = (event) => {
    const who = [event.body_a, event.body_b].filter(Boolean).map(words).join(" and ");
    return `${words(event.kind)}${who && `: ${who}`}`;
  };

  physreel.Timeline = class {
    constructor(episode, player) {
      Object.assign(this, { episode, player, marks: new Map() });
      this.play = this.button("play", "play or pause", "", () => player.toggle());
      this.scrub = el("input", { type: "range", min: 0, max: player.frames - 1, value: 0, ariaLabel: "frame",
        oninput: () => { player.pause(); player.show(Number(this.scrub.value)); } });
      this.where = el("output");
      this.speed = el("select", { ariaLabel: "speed", onchange: () => { player.speed = Number(this.speed.value); player.begun = null; } },
        physreel.Player.SPEEDS.map((value) => el("option", { value }, `${value} ×`)));
      this.cursor = el("i", { className: "cursor" });
      this.mini = el("canvas", { className: "mini", width: episode.sheets.width, height: episode.sheets.height, ariaHidden: "true" });
      this.node = el("section", { className: "dock", ariaLabel: "time" }, this.mini,
        el("div", { className: "transport" },
          this.button("step", "one frame back", "‹", () => player.step(-1)), this.play,
          this.button("step", "one frame on", "›", () => player.step(1)), this.where, this.speed),
        el("div", { className: "lanes" },
          el("div", { className: "lane scrub" }, el("span", { className: "what" }), el("div", { className: "line" }, this.scrub)),
          this.shots(), this.lanes(), el("div", { className: "over-lines" }, this.cursor)));
      player.on((frame) => this.show(frame));
    }

    button(className, label, text, onclick) {
      return el("button", { type: "button", className: `round ${className}`, ariaLabel: label, title: label, onclick }, text);
    }

    share(time) {
      const last = Math.max(1, this.player.frames - 1);
      return `${100 * physreel.clamp(time * this.player.rate / last, 0, 1)}%`;
    }

    shots() {
      const { shots } = this.episode;
      if (shots.length < 2) return null;
      return el("div", { className: "lane" }, el("span", { className: "what" }, "shots"),
        el("div", { className: "line" }, shots.map((shot, n) => el("button", {
          type: "button", className: "shot", title: `shot ${n + 1}: ${words(shot.move)}`,
          style: { left: this.share(shot.first_frame / this.player.rate),
            right: `calc(100% - ${this.share((shot.first_frame + shot.frames) / this.player.rate)})` },
          onclick: () => { this.player.pause(); this.player.show(shot.first_frame); },
        }, words(shot.move)))));
    }

    lanes() {
      const kinds = [...new Set(this.episode.events.map((event) => event.kind))].sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
      return kinds.map((kind, n) => {
        const events = this.episode.events.filter((event) => event.kind === kind);
        return el("div", { className: `lane kind-${n % 8}` }, el("span", { className: "what" }, words(kind), el("i", null, ` ${events.length}`)),
          el("div", { className: "line" }, events.map((event) => this.mark(event))));
      });
    }

    mark(event) {
      const long = (event.end_s - event.start_s) * this.player.rate >= 1;
      const text = `${physreel.saidOf(event)}, ${seconds(event.start_s)}`;
      const mark = el("button", { type: "button", tabIndex: -1, title: text, ariaLabel: text, className: long ? "mark span" : "mark",
        style: { left: this.share(event.start_s), ...(long ? { right: `calc(100% - ${this.share(event.end_s)})` } : {}) },
        onclick: () => { this.player.pause(); this.player.showTime(event.start_s); } });
      this.marks.set(event.event_id, mark);
      return mark;
    }

    light(ids) { for (const [id, mark] of this.marks) mark.classList.toggle("lit", ids.has(id)); }

    show(frame) {
      const { player } = this;
      this.scrub.value = frame;
      this.play.textContent = player.playing ? "❚❚" : "▶";
      this.speed.value = player.speed;
      this.where.replaceChildren(el("b", null, seconds(player.seconds)), ` frame ${frame} of ${player.frames - 1}`);
      this.cursor.style.left = this.share(player.seconds);
      this.scrub.ariaValueText = `${seconds(player.seconds)}, frame ${frame}`;
    }

    // the next or the last event seen from here
    nextEvent(direction) {
      const frames = [...new Set(this.episode.events.map((event) => Math.floor(event.start_s * this.player.rate + 1e-6)))].sort((a, b) => a - b);
      const found = direction > 0 ? frames.find((frame) => frame > this.player.frame) : frames.findLast((frame) => frame < this.player.frame);
      if (found !== undefined) { this.player.pause(); this.player.show(found); }
    }
  };
})();
