"use strict";
// The channels of a clip side by side, in step; values under the pointer; what a clause speaks of.
(() => {
  const { el, figure } = physreel;
  const TITLES = { rgb: "rgb", depth: "depth", segmentation: "segmentation", normals: "normals", flow: "flow",
    backward_flow: "backward flow" };

  function key(channel, legend) {
    const ends = legend?.[channel];
    if (channel === "depth" && ends) {
      return el("span", { className: "key" }, figure(ends[0], "m"), el("i", { className: "ramp" }), figure(ends[1], "m"));
    }
    if (channel.endsWith("flow") && ends) {
      return el("span", { className: "key" }, el("i", { className: "wheel" }), `${figure(ends[0], "px")} a frame`);
    }
    return channel === "normals" ? el("span", { className: "key" }, "right, up, towards us") : "";
  }

  physreel.Stage = class {
    constructor(source, episode, player, palette) {
      Object.assign(this, { source, episode, player, lit: new Set(), curves: null });
      this.labels = new Map(palette.map((colour, n) => [parseInt(colour.slice(1), 16), n]));
      this.readable = true; // a page from a disk may show its pictures but not read their colours
      this.views = episode.channels.map((channel) => this.view(channel));
      this.node = el("div", { className: "stage" }, this.views.map((view) => view.node));
      player.on((frame) => this.draw(frame));
    }

    view(channel) {
      const { width, height } = this.episode.sheets;
      const canvas = el("canvas", { width, height, role: "img", ariaLabel: `${TITLES[channel]} of ${this.episode.id}` });
      const over = el("canvas", { className: "over", width, height, ariaHidden: "true" });
      const value = el("output", { className: "probed" });
      const legend = el("span");
      const picture = el("div", { className: "picture", style: { "aspect-ratio": `${width} / ${height}` } }, canvas, over);
      const node = el("figure", { data: { channel } }, picture,
        el("figcaption", null, el("button", { type: "button", className: "plain", title: "larger or smaller",
          onclick: () => node.classList.toggle("large") }, TITLES[channel]), value, legend));
      const view = { channel, node, canvas, value, legend, over: over.getContext("2d"),
        context: canvas.getContext("2d", { willReadFrequently: true }),
        sheets: physreel.sheetsOf(this.source, this.episode, channel) };
      view.sheets.onready = () => {
        picture.classList.toggle("missing", view.sheets.failed);
        this.draw(this.player.frame);
      };
      picture.onpointermove = (event) => {
        const box = picture.getBoundingClientRect();
        this.probe(Math.floor((event.clientX - box.left) / box.width * width), Math.floor((event.clientY - box.top) / box.height * height));
      };
      picture.onpointerleave = () => this.probe(null);
      view.sheets.load();
      return view;
    }

    told(curves) {
      this.curves = curves;
      for (const view of this.views) view.legend.replaceChildren(key(view.channel, curves.legend));
      this.draw(this.player.frame);
    }

    draw(frame) {
      for (const view of this.views) view.drawn = view.sheets.draw(view.context, frame) || view.drawn;
      this.mark(frame);
      this.read();
    }

    light(bodies) { this.lit = bodies; this.mark(this.player.frame); }

    pixels(channel) {
      const view = this.views.find((each) => each.channel === channel);
      if (!view || !this.readable) return null;
      try {
        return view.context.getImageData(0, 0, view.canvas.width, view.canvas.height).data;
      } catch {
        this.readable = false;
        return null;
      }
    }

    // an outline of the bodies that are lit, from the segmentation; a ring at their track without
    mark(frame) {
      const { width, height } = this.episode.sheets;
      for (const { over } of this.views) over.clearRect(0, 0, width, height);
      if (!this.lit.size) return;
      const rows = this.episode.bodies.flatMap((body, n) => (this.lit.has(body.name) ? [n] : []));
      const colours = this.pixels("segmentation");
      if (!colours) { this.rings(rows, frame); return; }
      const wanted = new Set(rows.map((n) => n + 1));
      const inside = new Uint8Array(width * height);
      for (let at = 0; at < inside.length; at++) {
        const label = this.labels.get(colours[4 * at] << 16 | colours[4 * at + 1] << 8 | colours[4 * at + 2]);
        inside[at] = wanted.has(label) ? 1 : 0;
      }
      const [light, dark] = [new ImageData(width, height), new ImageData(width, height)];
      for (let at = 0; at < inside.length; at++) {
        if (inside[at]) continue;
        const x = at % width;
        if (x > 0 && inside[at - 1] || x < width - 1 && inside[at + 1] || inside[at - width] || inside[at + width]) {
          light.data.set([255, 255, 255, 255], 4 * at);
          dark.data.set([30, 30, 34, 255], 4 * at); // what stands still has a white flow
        }
      }
      for (const { over, channel } of this.views) over.putImageData(channel.endsWith("flow") ? dark : light, 0, 0);
    }

    rings(rows, frame) {
      for (const n of rows) {
        const track = this.curves?.track?.[n];
        const [x, y] = [track?.[0]?.[frame], track?.[1]?.[frame]];
        if (x === null || x === undefined || this.episode.bodies[n].static) continue;
        const radius = Math.max(4, 1.3 * Math.sqrt(Math.max(0, this.curves.area?.[n]?.[frame] ?? 0) / Math.PI));
        for (const { over } of this.views) {
          over.lineWidth = 1.5;
          over.strokeStyle = "#fff";
          over.beginPath();
          over.arc(x, y, radius, 0, 2 * Math.PI);
          over.stroke();
        }
      }
    }

    probe(x, y) {
      this.at = x === null ? null : [x, y];
      for (const { node, value } of this.views) {
        node.classList.toggle("probing", this.at !== null && this.readable);
        if (this.at === null) value.textContent = "";
      }
      this.mark(this.player.frame);
      this.read();
    }

    read() {
      if (!this.at) return;
      const [x, y] = this.at;
      const { width } = this.episode.sheets;
      for (const view of this.views) {
        const colours = this.pixels(view.channel);
        if (!colours) return;
        const at = 4 * (y * width + x);
        view.value.textContent = (view.drawn && this.meant(view.channel, colours.slice(at, at + 3))) || "";
        view.over.fillStyle = "rgba(255,255,255,.55)";
        view.over.fillRect(x, 0, 1, Math.max(0, y - 2));
        view.over.fillRect(x, y + 3, 1, view.canvas.height);
        view.over.fillRect(0, y, Math.max(0, x - 2), 1);
        view.over.fillRect(x + 3, y, width, 1);
      }
    }

    // a colour read back as what it stands for, as simgen/preview.py painted it
    meant(channel, [red, green, blue]) {
      const ends = this.curves?.legend?.[channel];
      if (channel === "rgb") return `${red} ${green} ${blue}`;
      if (channel === "segmentation") {
        const label = this.labels.get(red << 16 | green << 8 | blue);
        return label ? this.episode.bodies[label - 1]?.name.replaceAll("_", " ") : "sky";
      }
      if (channel === "normals") return [red, green, blue].map((c) => (Math.round(c / 12.75 - 10) / 10 + 0).toFixed(1)).join(" ").replaceAll("-", "−");
      if (channel === "depth" && ends) {
        if (red === 255 && green === 255) return "sky";
        const share = (red - 40) / 210;
        return `≈ ${figure(1 / (1 / ends[1] + share * (1 / ends[0] - 1 / ends[1])), "m")}`;
      }
      if (!ends) return null;
      const least = Math.min(red, green, blue);
      const speed = (1 - least / 255) * ends[0];
      return `${least === 0 ? "≥" : "≈"} ${figure(Number(speed.toFixed(2)), "px")}`;
    }
  };
})();
