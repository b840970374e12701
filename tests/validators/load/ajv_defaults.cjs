// Record where AJV 6 writes defaults: npm install ajv@6 elsewhere, then
//   NODE_PATH=<there>/node_modules node tests/validators/load/ajv_defaults.cjs
// reads the forms in ajv-6-defaults.json, and writes into the same file what AJV makes of each event: what it comes to,
// and whether it is valid. Options are EventGate's. A form is a schema and its events; add new ones with their events.
const fs = require('fs')
const path = require('path')
const Ajv = require('ajv')

const file = path.join(__dirname, 'ajv-6-defaults.json')
const { version } = require('ajv/package.json')
const options = { useDefaults: true, allErrors: true, schemaId: 'auto' }
const logger = { log () {}, warn () {}, error () {} }

const forms = JSON.parse(fs.readFileSync(file, 'utf8')).forms.map(({ form, schema, judged }) => {
  const ajv = new Ajv({ ...options, logger })
  ajv.addMetaSchema(require('ajv/lib/refs/json-schema-draft-04.json')) // As EventGate does.
  const validate = ajv.compile(schema)
  return {
    form,
    schema,
    judged: judged.map(([event]) => {
      const filled = JSON.parse(JSON.stringify(event))
      const isValid = validate(filled)
      return [event, filled, isValid]
    })
  }
})
const lines = forms.map((each) => JSON.stringify(each)).join(',\n')
const source = `ajv ${version}, options ${JSON.stringify(options)}; judged: [event, event afterwards, is valid]`
fs.writeFileSync(file, `{"source": ${JSON.stringify(source)},\n"forms": [\n${lines}\n]}\n`)
