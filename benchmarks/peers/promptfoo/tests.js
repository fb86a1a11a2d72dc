const fs = require('fs');
const path = require('path');
const lines = () => fs.readFileSync(path.join(process.env.FOLDER, 'cases.jsonl'), 'utf8').trim().split('\n');
module.exports = () => lines().map((line) => JSON.parse(line)).map((row) => ({
  vars: { input: row.input }, assert: [{ type: 'equals', value: row.expected }],
}));
