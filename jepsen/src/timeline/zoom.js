// Zooms and moves the picture along the time axis only: everything inside #time is scaled in x.
(() => {
  const svg = document.querySelector('svg');
  const time = document.getElementById('time');
  const ticks = document.getElementById('ticks');
  const left = +svg.dataset.left, width = +svg.dataset.width, seconds = +svg.dataset.seconds;
  let scale = 1, shift = 0;
  const draw = () => {
    shift = Math.min(0, Math.max(shift, width - width * scale));
    time.setAttribute('transform', `translate(${left + shift} 0) scale(${scale} 1)`);
    const step = [600, 300, 120, 60, 30, 10, 5, 2, 1, .5, .2, .1].filter(s => s / seconds * width * scale > 55).pop() || 600;
    let marks = '';
    for (let s = 0; s <= seconds; s += step) {
      const x = left + shift + s / seconds * width * scale;
      if (x >= left - 1 && x <= left + width + 1)
        marks += `<line class="axis" x1="${x}" x2="${x}" y1="14" y2="2000"/><text x="${x + 2}" y="11">${+s.toFixed(1)} s</text>`;
    }
    ticks.innerHTML = marks;
  };
  const at = event => (event.clientX - svg.getBoundingClientRect().left) / svg.getBoundingClientRect().width * (left + width);
  svg.addEventListener('wheel', event => {
    event.preventDefault();
    const before = scale, x = at(event) - left;
    scale = Math.min(400, Math.max(1, scale * (event.deltaY < 0 ? 1.25 : .8)));
    shift = x - (x - shift) * scale / before;
    draw();
  }, { passive: false });
  let from = null;
  svg.addEventListener('mousedown', event => { from = at(event) - shift; });
  window.addEventListener('mouseup', () => { from = null; });
  window.addEventListener('mousemove', event => { if (from !== null) { shift = at(event) - from; draw(); } });
  svg.addEventListener('dblclick', () => { scale = 1; shift = 0; draw(); });
  draw();
})();
