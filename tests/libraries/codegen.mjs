/** Does what `graphql-codegen` does with `codegen.json`: its core and its plugins, without the command line around them. */
import { readFileSync, writeFileSync } from "node:fs";
import { codegen } from "@graphql-codegen/core";
import * as typedDocumentNode from "@graphql-codegen/typed-document-node";
import * as typescriptOperations from "@graphql-codegen/typescript-operations";
import { parse } from "graphql";

const PLUGINS = { "typescript-operations": typescriptOperations, "typed-document-node": typedDocumentNode };
const read = (name) => parse(readFileSync(name, "utf8"));

const { schema, documents, generates } = JSON.parse(readFileSync("codegen.json", "utf8"));
for (const [filename, { plugins, config }] of Object.entries(generates)) {
  const options = {
    filename,
    config,
    schema: read(schema),
    documents: [{ location: documents, document: read(documents) }],
    plugins: plugins.map((name) => ({ [name]: {} })),
    pluginMap: PLUGINS,
  };
  writeFileSync(filename, await codegen(options));
}
