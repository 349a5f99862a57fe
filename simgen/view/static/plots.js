"use strict";
// States over time: small charts with one cursor, a line a body (or joint), chosen by name.
(() => {
  const { el, svg, figure, words, rgb } = physreel;
  const WIDTH = 300, HEIGHT = 110, TOP = 6, BOTTOM = 6;
  const AXES = ["x", "y", "z"];
  const CHOSEN = 6;
  const PARKED_M = -50; // what was taken away waits below this: simgen/impossible.py

  const hue = (n) => `oklch(.62 .14 ${(n * 137.5 + 255) % 360})`;

  // the things' own colours where they tell them apart
  function colours(bodies) {
    const seen = bodies.map((body) => body.rgb.map((share) => Math.round(share * 6)).join());
    const distinct = new Set(seen).size === seen.length;
    return new Map(bodies.map((body, n) => [body.name, distinct ? `color-mix(in oklab, ${rgb(body.rgb)} 78%, var(--ink))` : hue(n)]));
  }

  // one panel a quantity: title, unit, and named series
  function panels(curves) {
    const there = (all) => ({ ...all, position: all.position?.map((line) => line.map((v, t) => (all.position[2][t] < PARKED_M ? null : v))) });
    const bodies = Object.entries(curves.bodies).map(([body, all]) => [body, there(all)]);
    const axis = (key, title, unit) => AXES.map((name, n) => ({ title: `${title} ${name}`, unit, bodies: true,
      series: bodies.filter(([, all]) => all[key]).map(([body, all]) => [body, all[key][n]]) }));
    const length = (key, title, unit) => ({ title, unit, bodies: true, series: bodies.filter(([, all]) => all[key])
      .map(([body, all]) => [body, all[key][0].map((_, t) => norm(all[key].map((part) => part[t])))]) });
    const clip = [["energy", "energy", "J"], ["penetration", "deepest penetration", "m"]]
      .map(([key, title, unit]) => ({ title, unit, series: curves.clip[key] ? [["", curves.clip[key]]] : [] }));
    const momentum = { title: "momentum", unit: "kg m/s", series: (curves.clip.momentum ?? []).map((line, n) => [AXES[n], line]) };
    const joints = [["joint_position", "joints", "rad or m"], ["joint_velocity", "joint speed", "per s"],
      ["joint_torque", "torque", "N m"], ["action", "action", "rad or share"]]
      .map(([key, title, unit]) => ({ title, unit, series: Object.entries(curves.columns[key] ?? {}) }));
    return [...axis("position", "position", "m"), ...axis("velocity", "velocity", "m/s"), length("velocity", "speed", "m/s"),
      length("angular_velocity", "spin", "rad/s"),
      { title: "visible share", unit: "", bodies: true, series: bodies.filter(([, all]) => all.visibility).map(([body, all]) => [body, all.visibility]) },
      clip[0], momentum, clip[1], ...joints].filter((panel) => panel.series.length);
  }

  const norm = (parts) => (parts.includes(null) ? null : Math.hypot(...parts));

  class Panel {
    constructor({ title, unit, series, bodies }, paint, player) {
      Object.assign(this, { unit, series, bodies: Boolean(bodies), player, paint, shown: new Set(series.map(([name]) => name)) });
      this.value = el("output");
      this.cursor = svg("line", { class: "cursor", y1: 0, y2: HEIGHT });
      this.lines = new Map(series.map(([name]) => [name, svg("path", { class: "line", style: { stroke: paint(name) } })]));
      this.grid = svg("g", { "aria-hidden": "true" });
      const chart = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": `${title} over time` },
        this.grid, [...this.lines.values()], this.cursor);
      this.ends = el("div", { className: "ends", ariaHidden: "true" }, el("span"), el("span"));
      this.area = el("div", { className: "area" }, chart, this.ends);
      this.node = el("figure", { className: "plot" }, el("figcaption", null, el("b", null, title), this.value), this.area);
      chart.onpointermove = (event) => this.point(event, chart, false);
      chart.onpointerleave = () => { this.near = null; this.show(player.frame); };
      chart.onclick = (event) => this.point(event, chart, true);
      this.scale();
    }

    x(frame) { return frame / Math.max(1, this.player.frames - 1) * WIDTH; }
    y(value) { return HEIGHT - BOTTOM - (value - this.least) / (this.most - this.least) * (HEIGHT - TOP - BOTTOM); }

    scale() {
      const kept = this.series.filter(([name]) => this.shown.has(name));
      const all = kept.flatMap(([, line]) => line).filter((value) => value !== null);
      let [least, most] = all.length ? [Math.min(...all), Math.max(...all)] : [0, 1];
      if (most - least < 1e-9 * Math.max(1, Math.abs(most))) [least, most] = [least - 0.5, most + 0.5];
      Object.assign(this, { least, most });
      this.ends.children[0].textContent = figure(most, this.unit);
      this.ends.children[1].textContent = figure(least);
      this.grid.replaceChildren(least < 0 && most > 0 ? svg("line", { class: "zero", x1: 0, x2: WIDTH, y1: this.y(0), y2: this.y(0) }) : "");
      for (const [name, line] of this.series) {
        const path = this.lines.get(name);
        path.setAttribute("visibility", this.shown.has(name) ? "visible" : "hidden");
        let pen = "M";
        const steps = line.map((value, t) => {
          if (value === null) { pen = "M"; return ""; }
          const step = `${pen}${this.x(t).toFixed(1)} ${this.y(value).toFixed(1)}`;
          pen = "L";
          return step;
        });
        path.setAttribute("d", steps.join(""));
      }
      this.show(this.player.frame);
    }

    point(event, chart, go) {
      const box = chart.getBoundingClientRect();
      const frame = Math.round((event.clientX - box.left) / box.width * (this.player.frames - 1));
      if (go) { this.player.pause(); this.player.show(frame); }
      const at = (event.clientY - box.top) / box.height * HEIGHT;
      const lines = this.series.filter(([name, line]) => this.shown.has(name) && line[frame] !== null && line[frame] !== undefined);
      const away = ([, line]) => Math.abs(this.y(line[frame]) - at);
      this.near = lines.length ? lines.reduce((a, b) => (away(a) <= away(b) ? a : b))[0] : null;
      this.show(this.player.frame, frame);
    }

    show(frame, hovered = frame) {
      for (const mark of ["x1", "x2"]) this.cursor.setAttribute(mark, this.x(frame));
      const only = this.series.filter(([name]) => this.shown.has(name));
      const name = this.near ?? (only.length === 1 ? only[0][0] : null);
      for (const [line, path] of this.lines) path.classList.toggle("near", line === this.near);
      const value = name === null ? null : this.series.find(([each]) => each === name)[1][hovered];
      this.value.textContent = name === null ? this.unit : `${name && words(name)} ${figure(value, this.unit)}`.trim();
      this.value.style.color = this.near ? this.paint(this.near) : "";
    }
  }

  physreel.Plots = class {
    constructor(episode, curves, player, onbody) {
      this.moving = episode.bodies.filter((body) => body.name in curves.bodies);
      const paints = colours(this.moving);
      const busy = new Set(episode.events.flatMap((event) => [event.body_a, event.body_b]));
      const first = (body) => this.moving.find((other) => other.object === body.object) === body;
      const wanted = [...this.moving.filter(first), ...this.moving.filter((body) => !first(body) && busy.has(body.name))];
      this.chosen = new Set(wanted.slice(0, CHOSEN).map((body) => body.name));
      this.panels = panels(curves).map((panel) => {
        const at = new Map(panel.series.map(([name], n) => [name, n]));
        const single = panel.series.length === 1 && !panel.bodies;
        return new Panel(panel, (name) => paints.get(name) ?? (single ? "var(--model)" : hue(at.get(name))), player);
      });
      this.legend = el("div", { className: "legend", role: "group", ariaLabel: "bodies" }, this.moving.map((body) => this.chip(body, paints, onbody)));
      this.choose();
      player.on((frame) => { for (const panel of this.panels) panel.show(frame); });
    }

    chip(body, paints, onbody) {
      const chip = el("button", { type: "button", ariaPressed: String(this.chosen.has(body.name)),
        onclick: () => {
          if (!this.chosen.delete(body.name)) this.chosen.add(body.name);
          chip.ariaPressed = String(this.chosen.has(body.name));
          this.choose();
        },
        onpointerenter: () => onbody(body.name), onpointerleave: () => onbody(null) },
      el("i", { style: { background: paints.get(body.name) } }), words(body.name));
      return chip;
    }

    choose() {
      for (const panel of this.panels) {
        if (!panel.bodies) continue;
        panel.shown = this.chosen;
        panel.scale();
      }
    }

    section() {
      if (!this.panels.length) return null;
      return el("section", { className: "plots" }, el("h2", null, "How it moves"), this.legend,
        el("div", { className: "charts" }, this.panels.map((panel) => panel.node)));
    }
  };
})();
