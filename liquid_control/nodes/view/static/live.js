// Copyright 2026 The liquid_control maintainers
// SPDX-License-Identifier: Apache-2.0
// The page's own socket: what the robot does comes in, a hand's commands go out.
//
// A hand's command is sent 20 times a second while a key, a shoulder button or the pad is held, the
// page is seen and has the focus. Nothing else repeats it: silence stops the robot.
'use strict';

(() => {
  const HAND_PERIOD = 50; // ms
  const RETRY = 1000; // ms
  // What a key does to which movement of the hand.
  const KEYS = {
    KeyW: ['forward', 1], ArrowUp: ['forward', 1], KeyS: ['forward', -1], ArrowDown: ['forward', -1],
    KeyA: ['turn', 1], ArrowLeft: ['turn', 1], KeyD: ['turn', -1], ArrowRight: ['turn', -1],
    KeyQ: ['left', 1], KeyE: ['left', -1], KeyR: ['up', 1], KeyF: ['up', -1],
  };
  // Shares of the range a second: a wheel is turned and a pedal pressed.
  const PRESS = { forward: 2, turn: 4, left: 4, up: 4 };
  // A key is all or nothing: what a tap of it does must be little, and who turns slows down.
  const KEY_TURN = 2;
  const SLOWER_IN_BENDS = 0.3; // share of the speed, at full turn
  const PARTS = Object.keys(PRESS);
  const SHOULDERS = [4, 5];
  const DEAD_ZONE = 0.08;

  const held = new Set();
  const given = {}; // shares of the movements as they are now
  const sliders = {}; // shares of commands of their own, while their slider is held
  let pad = null; // [turn, forward] while held
  let socket = null;
  let me = '';
  let state = {};
  let got = 0; // ms; when
  let holding = false;
  let frameNumber = 0;
  let frameCount = 0;
  let frameRate = 0;

  const find = (id) => document.getElementById(id);
  const clamp = (value) => Math.max(-1, Math.min(1, value));
  const text = (id, value) => {
    const element = find(id);
    if (element && element.textContent !== value) element.textContent = value;
  };

  // The socket

  function connect() {
    const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
    socket = new WebSocket(`${scheme}//${location.host}/live`);
    socket.binaryType = 'arraybuffer';
    socket.onmessage = (event) => {
      if (typeof event.data === 'string') take(JSON.parse(event.data));
      else draw(event.data);
    };
    socket.onclose = () => {
      letGo();
      link('not connected', 'bad');
      document.body.dataset.mode = 'UNKNOWN'; // what is on the page is old
      text('mode', 'NOT CONNECTED');
      text('reason', '');
      setTimeout(connect, RETRY);
    };
  }

  function send(message) {
    if (socket && socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
  }

  function take(message) {
    if (message.you) me = message.you;
    if (message.said !== undefined) say(message.said, message.done);
    if (message.n === undefined) return;
    send({ n: message.n });
    state = message;
    got = performance.now();
    show();
  }

  function link(words, kind) {
    text('link', words);
    if (find('link')) find('link').className = kind;
  }

  function say(words, done) {
    const options = { message: words, color: done ? 'positive' : 'negative', timeout: 3000 };
    if (window.Quasar) window.Quasar.Notify.create(options);
  }

  async function draw(data) {
    const number = new DataView(data).getUint32(0, true);
    const image = await createImageBitmap(new Blob([new Uint8Array(data, 4)], { type: 'image/jpeg' }));
    const canvas = find('camera');
    if (canvas) {
      if (canvas.width !== image.width) canvas.width = image.width;
      if (canvas.height !== image.height) canvas.height = image.height;
      canvas.getContext('2d').drawImage(image, 0, 0);
    }
    send({ f: number });
    frameNumber = number;
    frameCount += 1;
  }

  // The hand

  function sources() {
    const wanted = {};
    const add = (part, share) => { wanted[part] = clamp((wanted[part] || 0) + share); };
    let any = false;
    for (const code of held) {
      any = true;
      add(...KEYS[code]);
    }
    if (pad) {
      any = true;
      add('turn', pad[0]);
      add('forward', pad[1]);
    }
    for (const gamepad of navigator.getGamepads()) {
      if (!gamepad || !gamepad.connected) continue;
      if (!SHOULDERS.some((button) => gamepad.buttons[button] && gamepad.buttons[button].pressed)) continue;
      any = true;
      ['turn', 'forward', 'left', 'up'].forEach((part, axis) => {
        const share = -(gamepad.axes[axis] || 0);
        if (Math.abs(share) > DEAD_ZONE) add(part, share);
      });
    }
    return [any || Object.keys(sliders).length > 0, wanted];
  }

  function steer() {
    const [any, wanted] = sources();
    const may = any && document.hasFocus() && !document.hidden && state.commands;
    if (!may) {
      if (any) letGo();
      else if (holding) release();
      return;
    }
    holding = true;
    const step = HAND_PERIOD / 1000;
    for (const part of PARTS) {
      const goal = wanted[part] || 0;
      const now = given[part] || 0;
      const rate = part === 'turn' && held.size ? KEY_TURN : PRESS[part];
      const limit = rate * step * (Math.abs(goal) < Math.abs(now) ? 2 : 1);
      given[part] = now + Math.max(-limit, Math.min(limit, goal - now));
    }
    const slower = held.size ? SLOWER_IN_BENDS * Math.abs(given.turn) : 0;
    const top = (find('top') ? find('top').value / 100 : 1) * (1 - slower);
    const hand = {};
    for (const { name, part, place } of state.commands) {
      if (place && !(name in sliders)) continue; // it stays where it is
      const share = part ? (given[part] || 0) * (part === 'turn' ? 1 : top) : sliders[name] || 0;
      hand[name] = clamp(share);
    }
    send({ n: state.n, had: (performance.now() - got) / 1000, hand });
  }

  function release() {
    holding = false;
    for (const part of PARTS) given[part] = 0;
    send({ hand: null });
  }

  // The focus is gone, or the socket: what was held counts no more until it is pressed again.
  function letGo() {
    held.clear();
    pad = null;
    for (const name of Object.keys(sliders)) delete sliders[name];
    movePad();
    if (holding) release();
  }

  function act(what) {
    letGo();
    send({ do: what, shown: state.mode ?? null });
  }

  const types = (element) => element && (element.isContentEditable
    || (['INPUT', 'TEXTAREA', 'SELECT'].includes(element.tagName) && element.type !== 'range'));

  function onKey(event) {
    if (types(event.target) || event.ctrlKey || event.altKey || event.metaKey) return;
    const down = event.type === 'keydown';
    if (event.code === 'Space') {
      if (down && !event.repeat && find('stop')) act('space');
    } else if (event.code in KEYS && find('pad')) {
      if (!down) held.delete(event.code);
      else if (!event.repeat) held.add(event.code);
    } else return;
    event.preventDefault(); // a button that has the focus is not pressed by the space key
    event.stopPropagation();
  }

  function movePad(event) {
    const area = find('pad');
    if (!area) return;
    if (event && pad) {
      const box = area.getBoundingClientRect();
      pad = [
        -clamp((2 * (event.clientX - box.left)) / box.width - 1),
        -clamp((2 * (event.clientY - box.top)) / box.height - 1),
      ];
    }
    const [turn, forward] = pad || [0, 0];
    find('stick').style.transform = `translate(${-turn * 100}%, ${-forward * 100}%)`;
  }

  function usePad(area) {
    area.addEventListener('pointerdown', (event) => {
      area.setPointerCapture(event.pointerId);
      pad = [0, 0];
      movePad(event);
    });
    area.addEventListener('pointermove', movePad);
    for (const end of ['pointerup', 'pointercancel', 'lostpointercapture']) {
      area.addEventListener(end, () => { pad = null; movePad(); });
    }
  }

  // Commands that are no movement of a hand get a slider each, held while it is touched.
  function useSliders() {
    const area = find('axes');
    if (!area || !state.commands) return;
    const own = state.commands.filter((each) => !each.part);
    const names = own.map((each) => each.name);
    const places = new Set(own.filter((each) => each.place).map((each) => each.name));
    if (area.dataset.names === names.join()) return;
    area.dataset.names = names.join();
    area.replaceChildren(...names.map((name) => {
      const label = document.createElement('label');
      const slider = Object.assign(document.createElement('input'), {
        type: 'range', min: -1, max: 1, step: 0.01, value: 0,
      });
      const follow = () => { sliders[name] = Number(slider.value); };
      const end = () => { delete sliders[name]; if (!places.has(name)) slider.value = 0; };
      slider.addEventListener('pointerdown', follow);
      slider.addEventListener('input', () => { if (name in sliders) follow(); });
      for (const what of ['pointerup', 'pointercancel', 'blur']) slider.addEventListener(what, end);
      label.append(name, slider);
      return label;
    }));
  }

  // The slider begins where the robot's own driver wants it, and stays where a person puts it.
  function useTop() {
    const slider = find('top');
    const forward = (state.commands || []).find((each) => each.part === 'forward' && each.high > 0);
    if (!slider || !forward) return;
    if (state.topSpeed && !slider.dataset.set) slider.value = Math.round((100 * state.topSpeed) / forward.high);
    slider.dataset.set = 'yes';
    const speed = forward.unit === 'm/s' ? `, ${number((slider.value / 100) * forward.high, 1)} m/s` : '';
    text('top-value', `${slider.value} %${speed}`);
  }

  // What is shown

  const number = (value, digits = 2) => (value === null || value === undefined ? '–' : value.toFixed(digits));
  const milliseconds = (value) => (value === null || value === undefined ? '–' : `${(1000 * value).toFixed(1)} ms`);
  const bytes = (value) => {
    const units = ['B', 'kB', 'MB', 'GB', 'TB'];
    let unit = 0;
    while (value >= 1000 && unit < units.length - 1) { value /= 1000; unit += 1; }
    return `${value.toFixed(unit ? 1 : 0)} ${units[unit]}`;
  };

  // Rows of a table: made when their number changes, else only filled.
  function rows(id, lines) {
    const area = find(id);
    if (!area) return;
    while (area.children.length > lines.length) area.lastChild.remove();
    lines.forEach((cells, i) => {
      let row = area.children[i];
      if (!row || row.children.length !== cells.length) {
        const made = document.createElement('div');
        made.className = 'row';
        made.append(...cells.map(() => document.createElement('span')));
        if (row) row.replaceWith(made); else area.append(made);
        row = made;
      }
      cells.forEach((cell, j) => {
        const [words, kind = '', bar = null] = Array.isArray(cell) ? cell : [cell];
        const span = row.children[j];
        if (span.textContent !== words) span.textContent = words;
        if (span.className !== kind) span.className = kind;
        if (bar) Object.entries(bar).forEach(([name, value]) => span.style.setProperty(name, value));
      });
    });
  }

  const place = (value, { low, high }) => `${100 * Math.max(0, Math.min(1, (value - low) / (high - low)))}%`;

  function commandRow(each) {
    const unit = each.unit === '1' ? '' : ` ${each.unit}`;
    const known = each.low !== null && each.high !== null;
    const bar = known ? {
      '--zero': place(0, each), '--value': place(each.sent ?? 0, each), '--raw': place(each.raw ?? 0, each),
      '--min': place(each.min, each), '--max': place(each.max, each),
    } : {};
    return [
      each.name, ['', known ? 'bar' : '', bar], `${number(each.sent)}${unit}`,
      [`policy ${number(each.raw)}`, 'dim'],
      [known ? `${number(each.min)} … ${number(each.max)}` : 'limits not known', 'dim'],
    ];
  }

  function show() {
    const old = state.silent > 3 || state.mode === null;
    document.body.dataset.mode = old ? 'UNKNOWN' : state.modeName;
    text('mode', old ? 'NO POLICY NODE' : state.modeName.replace('_', ' '));
    text('reason', old && state.mode !== null ? `last heard ${number(state.silent, 0)} s ago` : state.reason);
    link(`${state.viewers} viewer${state.viewers === 1 ? '' : 's'}`, 'good');
    const mine = state.hand === me;
    text('holding', mine ? 'you drive' : state.hand ? 'somebody else drives' : 'not held');
    if (find('holding')) find('holding').className = mine ? 'good' : '';
    text('camera-note', state.camera || (frameNumber
      ? `${frameRate} frames/s${state.attention ? ', attention' : ''}` : 'no frame yet'));
    rows('commands', [
      ...(state.commands || []).map(commandRow),
      ...(state.limitedBy ? [[[`limited by: ${state.limitedBy}`, 'warn']]] : []),
    ]);
    rows('sensors', (state.sensors || []).map((each) => [
      each.name,
      [milliseconds(each.age), each.age === null || each.age > each.maxAge ? 'bad' : 'good'],
      [each.maxAge ? `at most ${milliseconds(each.maxAge)}` : '', 'dim'],
      [each.values.slice(0, 8).map((value) => number(value)).join('  ')
        + (each.values.length > 8 ? ' …' : ''), 'dim'],
    ]));
    const late = state.lateness || [];
    rows('timing', state.rate === undefined ? [['no tick yet']] : [
      ['rate', [`${number(state.rate, 1)} of ${number(state.wantedRate, 0)} Hz`, state.stale > 1 ? 'bad' : ''],
        [`${state.missed} missed`, 'dim']],
      ['lateness', `${milliseconds(late[0])} p50`, [`${milliseconds(late[1])} p99, ${milliseconds(late[2])} max`, 'dim']],
      ['sense to act', milliseconds(state.senseToAct),
        [`encoder ${milliseconds(state.encoderTime)}, core ${milliseconds(state.coreTime)}`, 'dim']],
    ]);
    showCameras();
    showScan();
    showPolicy();
    showRecorder();
    showTeach();
    drawNeurons(state.neurons || []);
    useSliders();
    useTop();
  }

  // Where a policy sees several cameras, a click chooses one.
  function showCameras() {
    const area = find('cameras');
    const names = state.cameras || [];
    if (!area || area.dataset.names === names.join()) return;
    area.dataset.names = names.join();
    area.replaceChildren(...(names.length > 1 ? names : []).map((name) => {
      const button = Object.assign(document.createElement('button'), { type: 'button', textContent: name });
      button.addEventListener('click', () => { send({ camera: name }); button.blur(); });
      return button;
    }));
    find('camera').style.display = names.length ? '' : 'none';
  }

  // A lidar's sectors from above, the robot's front upwards.
  function showScan() {
    const canvas = find('scan');
    const scan = (state.sensors || []).find((each) => each.kind === 'scan');
    canvas.style.display = scan ? '' : 'none';
    if (!scan) return;
    const size = 300;
    if (canvas.width !== size) { canvas.width = size; canvas.height = size; }
    const context = canvas.getContext('2d');
    context.clearRect(0, 0, size, size);
    const far = scan.far || Math.max(1, ...scan.values);
    const field = scan.fieldOfView || 2 * Math.PI;
    const at = (angle, range) => {
      const radius = (range / far) * (size / 2 - 4);
      return [size / 2 - Math.sin(angle) * radius, size / 2 - Math.cos(angle) * radius];
    };
    context.fillStyle = '#1976d255';
    context.beginPath();
    scan.values.forEach((range, i) => {
      for (const edge of [0, 1]) {
        const angle = ((i + edge) / scan.values.length - 0.5) * field;
        context.lineTo(...at(angle, range ?? 0));
      }
    });
    context.fill();
    context.fillStyle = '#ef6c00';
    context.fillRect(size / 2 - 3, size / 2 - 5, 6, 10);
  }

  function showPolicy() {
    const shadow = state.shadow;
    rows('policy', [
      ['drives', state.policy || '–', [state.hash || '', 'dim']],
      ['shadow', shadow ? shadow.policy : 'none', [shadow ? shadow.fault || shadow.commands.map(
        (each) => `${each.name} ${number(each.raw)} (off by ${number(each.difference, 3)})`).join(', ') : '', 'dim']],
      ['fallback', state.fallback || 'none', [`robot ${state.robot || '–'}`, 'dim']],
      ...(state.problem ? [[[state.problem, 'warn']]] : []),
    ]);
  }

  function showRecorder() {
    const recorder = state.recorder;
    rows('recorder', !recorder ? [['no recorder']] : [
      [[recorder.recording ? 'recording' : 'not recording', recorder.recording ? 'bad' : ''], recorder.episode,
        [recorder.recording ? `${number(recorder.duration, 1)} s, ${bytes(recorder.bytes)}, ${bytes(recorder.byteRate)}/s` : '', 'dim']],
      ['disk', `${bytes(recorder.free)} free`, [`${recorder.queued} queued, ${recorder.dropped} dropped`, recorder.dropped ? 'warn' : 'dim']],
      ...(recorder.problem ? [[[recorder.problem, 'bad']]] : []),
    ]);
  }

  function showTeach() {
    const panel = find('panel-teach');
    if (!panel) return;
    panel.classList.toggle('hidden', !state.teach);
    if (!state.teach) return;
    const share = Number(state.teach.share || 0);
    rows('teach', [
      [[state.teach.text, 'say']],
      [['', 'bar', { '--zero': '0%', '--value': `${100 * share}%`, '--raw': '0%', '--min': '0%', '--max': '100%' }]],
      ...Object.entries(state.teach).filter(([key]) => !['text', 'share'].includes(key))
        .map(([key, value]) => [[key.replaceAll('_', ' '), 'dim'], value]),
    ]);
  }

  function drawNeurons(values) {
    const canvas = find('neurons-canvas');
    if (!canvas) return;
    const width = canvas.clientWidth || 300;
    const height = 90;
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    const context = canvas.getContext('2d');
    context.clearRect(0, 0, width, height);
    const largest = Math.max(1, ...values.map((value) => Math.abs(value || 0)));
    const wide = width / Math.max(values.length, 1);
    values.forEach((value, i) => {
      const tall = ((value || 0) / largest) * (height / 2 - 2);
      context.fillStyle = value === null ? '#c62828' : tall >= 0 ? '#1976d2' : '#ef6c00';
      context.fillRect(i * wide + 1, height / 2 - Math.max(tall, 0), Math.max(wide - 2, 1), Math.abs(tall) + 1);
    });
  }

  // NiceGUI builds the page in the browser: what is needed of it comes a moment later.
  function begin() {
    if (!find('mode')) {
      setTimeout(begin, 50);
      return;
    }
    for (const what of ['engage', 'stop']) {
      if (find(what)) find(what).addEventListener('click', (event) => { event.target.blur(); act(what); });
    }
    if (find('pad')) usePad(find('pad'));
    if (find('top')) find('top').addEventListener('input', useTop);
    document.addEventListener('keydown', onKey, true);
    document.addEventListener('keyup', onKey, true);
    document.addEventListener('visibilitychange', () => { if (document.hidden) letGo(); });
    window.addEventListener('blur', letGo);
    window.addEventListener('pagehide', () => { letGo(); if (socket) socket.close(); });
    setInterval(steer, HAND_PERIOD);
    setInterval(() => { frameRate = frameCount; frameCount = 0; }, 1000);
    connect();
  }

  begin();
})();
