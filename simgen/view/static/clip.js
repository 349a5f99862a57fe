"use strict";
// One clip: its channels in step with its twin's, the time, captions, curves and facts.
(() => {
  const { el, by, figure, words, seconds } = physreel;
  let shown = null;

  function heading(episode, captions, nav) {
    const facts = ["family", "outcome", "split", "engine"].map((key) => episode[key]).filter(Boolean);
    const said = episode.captions.short ? captions.paragraph("short", "h2", "title") : el("h2", { className: "title" }, episode.id);
    return el("header", { className: "clip-head" },
      el("nav", { ariaLabel: "episodes" }, el("a", { href: nav.back }, "← All episodes"),
        el("span", { className: "steps" },
          nav.last ? el("a", { href: nav.last, rel: "prev" }, "Previous") : null, nav.next ? el("a", { href: nav.next, rel: "next" }, "Next") : null)),
      said,
      el("p", { className: "under" }, el("code", null, episode.id), facts.map((fact) => ` · ${words(fact)}`),
        ` · ${episode.sheets.width} × ${episode.sheets.height}, ${episode.sheets.frames} frames at ${figure(episode.rate)} Hz`,
        episode.possible === "no" ? el("b", { className: "badge alarm" }, "impossible") : null));
  }

  const changeOf = (twin) => (twin ? `${words(twin.kind)}${twin.body ? ` (${words(twin.body)})` : ""}` : "the original");

  function twinTold(twin, rate, player) {
    if (!twin) return "the original: nothing is changed";
    const at = (frame) => el("button", { type: "button", className: "plain", onclick: () => { player.pause(); player.show(frame); } }, seconds(frame / rate));
    return [`twin: ${changeOf(twin)}`, twin.value !== null && twin.value !== "" && twin.value !== undefined ? ` to ${figure(twin.value)}` : "",
      ", changed at ", at(twin.frame), twin.diverges_frame >= 0 ? [", poses differ from ", at(twin.diverges_frame)] : ", which nothing shows",
      twin.possible ? "" : ", as no physics makes it"];
  }

  physreel.Clip = class {
    constructor(source, dataset, episode, nav) {
      Object.assign(this, { source, dataset, episode, nav, stages: [], alive: true });
      this.player = new physreel.Player(episode.sheets.frames, episode.rate);
      this.captions = new physreel.Captions(episode, (evidence, pinned) => this.light(evidence, pinned));
      this.timeline = new physreel.Timeline(episode, this.player);
      this.stage = this.addStage(episode);
      this.beside = el("div", { className: "twin-stage" });
      this.plots = el("div", { className: "wait" }, "reading the states");
      this.node = el("div", null, heading(episode, this.captions, nav),
        episode.twins.length ? el("p", { className: "row-title" }, twinTold(episode.twin, episode.rate, this.player)) : null,
        this.stage.node, this.beside, this.twinChoice(), this.timeline.node, this.captions.section(), this.plots, physreel.factSections(episode, this.player));
      this.miniature();
      this.readCurves();
      const first = episode.twin ? episode.twins.find((twin) => !twin.twin) : episode.twins[0];
      this.chooseTwin(first?.id ?? "");
    }

    addStage(episode) {
      const stage = new physreel.Stage(this.source, episode, this.player, this.dataset.palette);
      this.stages.push(stage);
      return stage;
    }

    async readCurves() {
      if (!this.episode.curves) { this.plots.replaceWith(el("p", { className: "under" }, "No states are stored with this clip: it was not simulated.")); return; }
      try {
        const curves = await this.source.curves(this.episode.id);
        if (!this.alive) return;
        this.stage.told(curves);
        const plots = new physreel.Plots(this.episode, curves, this.player, (body) => this.lightBodies(new Set(body ? [body] : [])));
        this.plots.replaceWith(plots.section() ?? "");
      } catch (error) { this.plots.textContent = error.message; }
    }

    twinChoice() {
      const { twins } = this.episode;
      if (!twins.length) return null;
      const option = (id, text) => el("button", { type: "button", data: { twin: id }, ariaPressed: "false", onclick: () => this.chooseTwin(id) }, text);
      this.choices = [...twins.map((twin) => option(twin.id, changeOf(twin.twin))), option("", "alone")];
      return el("p", { className: "choices", role: "group", ariaLabel: "beside it" }, el("span", null, "Beside it"), this.choices);
    }

    async chooseTwin(id) {
      for (const choice of this.choices ?? []) choice.ariaPressed = String(choice.dataset.twin === id);
      this.stages.length = 1;
      this.beside.replaceChildren();
      this.wanted = id;
      if (!id) return;
      const card = this.episode.twins.find((twin) => twin.id === id);
      const twin = await this.source.episode(id).catch((error) => ({ error }));
      if (!this.alive || this.wanted !== id) return;
      if (twin.error) { this.beside.append(el("p", { className: "wait" }, twin.error.message)); return; }
      const stage = this.addStage(twin);
      this.beside.append(el("p", { className: "row-title" }, twinTold(card.twin, card.rate, this.player), " · ",
        el("a", { href: this.nav.to(id) }, "open it")), stage.node);
      this.source.curves(id).then((curves) => { if (this.alive) stage.told(curves); }, () => {});
    }

    // a small picture beside the scrubber once the channels have scrolled away
    miniature() {
      const context = this.timeline.mini.getContext("2d");
      this.player.on((frame) => { this.stage.views[0]?.sheets.draw(context, frame); });
      this.watch = new IntersectionObserver(([entry]) => this.timeline.node.classList.toggle("alone", !entry.isIntersecting));
      this.watch.observe(this.stage.node);
    }

    light(evidence, pinned) {
      const paths = evidence ?? [];
      const { events, bodies } = this.episode;
      const lit = new Set(events.map((event) => event.event_id).filter((id) => paths.some((path) => path.split(".")[0] === id)));
      const names = new Set(bodies.filter((body) => paths.some((path) => {
        const [group, name] = path.split(".");
        return group === "objects" && name === body.object || group === "setting" && name === body.name;
      })).map((body) => body.name));
      const first = events.find((event) => lit.has(event.event_id));
      for (const event of events) if (lit.has(event.event_id)) for (const body of [event.body_a, event.body_b]) this.lightObject(names, body);
      this.timeline.light(lit);
      this.lightBodies(names);
      for (const row of this.node.querySelectorAll("[data-fact]")) {
        const fact = row.dataset.fact;
        row.classList.toggle("lit", paths.some((path) => path === fact || path.startsWith(`${fact}.`) || fact.endsWith(".") && path.startsWith(fact)));
      }
      if (pinned && first) { this.player.pause(); this.player.showTime(first.start_s); }
    }

    // an event names a part; a gymnast is lit as a whole
    lightObject(names, body) {
      const found = this.episode.bodies.find((each) => each.name === body);
      if (!found || found.static) return;
      for (const part of this.episode.bodies) if (part.object === found.object && !part.static) names.add(part.name);
    }

    lightBodies(names) { for (const stage of this.stages) stage.light(names); }

    key(event) {
      const { player, timeline } = this;
      const deeds = {
        " ": () => player.toggle(), k: () => player.toggle(),
        ArrowLeft: () => player.step(event.shiftKey ? -8 : -1), ArrowRight: () => player.step(event.shiftKey ? 8 : 1),
        Home: () => player.step(-player.frames), End: () => player.step(player.frames),
        "[": () => player.faster(-1), "]": () => player.faster(1),
        e: () => timeline.nextEvent(1), E: () => timeline.nextEvent(-1),
        n: () => this.nav.next && (location.hash = this.nav.next), p: () => this.nav.last && (location.hash = this.nav.last),
        Escape: () => { if (this.captions.pinned) this.captions.pin(null); else location.hash = this.nav.back; },
      };
      return deeds[event.key];
    }

    leave() {
      this.alive = this.player.alive = false;
      this.player.pause();
      this.watch.disconnect();
    }
  };

  physreel.showClip = (clip) => {
    shown?.leave();
    shown = clip;
    by("clip").replaceChildren(...(clip ? [clip.node] : []));
    if (clip && !physreel.still.matches) clip.player.play();
  };
  physreel.shownClip = () => shown;
})();
