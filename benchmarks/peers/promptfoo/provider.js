// The feature of trivial.py: the same answers after the same time, the same count of calls.
const fs = require('fs');
const path = require('path');
const LATENCY = Number(process.env.LATENCY || 0) * 1000;
let calls = 0;
process.on('exit', () => fs.writeFileSync(path.join(process.env.FOLDER, 'calls.log'), String(calls)));
module.exports = class {
  id() { return 'trivial'; }
  async callApi(text) {
    calls += 1;
    if (LATENCY) await new Promise((done) => setTimeout(done, LATENCY));
    return { output: Number(text.slice(1)) % 2 ? text : 'no' };
  }
};
