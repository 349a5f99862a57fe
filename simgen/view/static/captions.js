"use strict";
// The captions; each clause shows the claims it makes, the stored facts, and what they are about.
(() => {
  const { el, figure, named, words } = physreel;
  const TITLES = { short: "Short", dense: "Dense", timeline: "Timeline", false: "False on purpose" };
  const RELATIONS = { is: "is", near: "near", at_least: "at least", at_most: "at most", below: "below" };

  function claimLine(claim) {
    const counted = claim.path.startsWith("number of ");
    const parts = counted ? [] : claim.path.split(".");
    const { label, unit } = counted ? { label: claim.path, unit: "" } : named(claim.path);
    const told = (value) => (typeof value === "string" ? words(value) : figure(value, unit));
    const said = `${RELATIONS[claim.relation]} ${told(claim.said)}${claim.within ? ` ± ${figure(claim.within)}` : ""}`;
    return el("tr", { className: claim.holds ? "" : "wrong" },
      el("td", null, el("i", { ariaLabel: claim.holds ? "holds" : "does not hold" }, claim.holds ? "✓" : "✕")),
      el("td", null, el("span", { className: "path" }, parts.slice(0, -1).map((part) => `${words(part)} › `)), label),
      el("td", null, said),
      el("td", null, claim.fact === null ? "no such fact" : told(claim.fact)));
  }

  physreel.Captions = class {
    // onlight(evidence or null, pinned)
    constructor(episode, onlight) {
      Object.assign(this, { episode, onlight, pinned: null });
      this.panel = el("div", { className: "evidence", ariaLive: "polite" });
      this.explain();
    }

    paragraph(name, tag, className) {
      const text = this.episode.captions[name] ?? "";
      const clauses = this.episode.clauses.filter((clause) => clause.caption === name && clause.start >= 0);
      const pieces = [];
      let at = 0;
      for (const clause of clauses) {
        pieces.push(text.slice(at, clause.start), this.clause(clause, text.slice(clause.start, clause.stop)));
        at = clause.stop;
      }
      return el(tag, { className }, pieces, text.slice(at));
    }

    clause(clause, text) {
      const node = el("span", { className: `clause${clause.false ? " lie" : ""}`, tabIndex: 0, role: "button", ariaPressed: "false" }, text);
      const show = () => { if (!this.pinned) this.show(clause, node); };
      const hide = () => { if (!this.pinned) this.hint(); };
      node.onpointerenter = (event) => { if (event.pointerType === "mouse") show(); };
      node.onpointerleave = (event) => { if (event.pointerType === "mouse") hide(); };
      node.onfocus = show;
      node.onblur = hide;
      node.onclick = () => this.pin(this.pinned === node ? null : node, clause);
      node.onkeydown = (event) => {
        if (event.key !== "Enter") return;
        event.preventDefault();
        node.onclick();
      };
      return node;
    }

    pin(node, clause) {
      const last = this.pinned;
      this.pinned = null;
      if (last) { last.ariaPressed = "false"; last.classList.remove("pinned"); }
      if (!node) { this.hint(); return; }
      this.show(clause, node);
      this.pinned = node;
      node.ariaPressed = "true";
      node.classList.add("pinned");
      this.panel.classList.add("pinned");
      this.panel.classList.toggle("afar", Boolean(node.closest(".title"))); // the panel stands below
      this.onlight(clause.evidence, true);
    }

    show(clause, node) {
      const verdict = clause.false ? el("p", { className: "verdict wrong" }, `This is the lie: ${words(clause.lie ?? "wrong")}.`)
        : el("p", { className: "verdict" }, clause.holds ? "Every claim holds." : "Not every claim holds.");
      this.panel.replaceChildren(
        el("p", { className: "quote" }, `“${node.textContent}”`), verdict,
        el("div", { className: "scroll" }, el("table", null, el("thead", null, el("tr", null, ["", "fact", "said", "stored"].map((word) => el("th", null, word)))),
          el("tbody", null, clause.claims.map(claimLine)))),
        el("button", { type: "button", className: "plain close", ariaLabel: "close", onclick: () => this.pin(null) }, "×"));
      this.onlight(clause.evidence, false);
    }

    hint() {
      this.explain();
      this.onlight(null, false);
    }

    explain() {
      this.panel.classList.remove("pinned", "afar");
      this.panel.replaceChildren(el("p", { className: "hint" }, this.episode.clauses.length
        ? "Point at a clause to see what it claims, what is stored, and where in the clip it is. Click to keep it and go there."
        : "This caption has no clauses: nothing vouches for it."));
    }

    section() {
      const names = Object.keys(this.episode.captions).filter((name) => name !== "short" && TITLES[name]);
      if (!names.length && !this.episode.clauses.length) return null;
      return el("section", { className: "captions" }, el("h2", null, "What it says"),
        el("div", { className: "beside" },
          el("div", null, names.map((name) => [el("h3", null, TITLES[name]), this.paragraph(name, "p", `caption ${name}`)])), this.panel));
    }
  };
})();
