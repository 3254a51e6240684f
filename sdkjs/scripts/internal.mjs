// The names of members that only the SDK itself uses: the build shortens them.
// Internal are the members of what is not exported or marked @internal, unless
// a public declaration, the protocol or a library of the language has the name too.
// The folders below src are built by themselves: none of their names is internal.
import { readdirSync, readFileSync } from 'node:fs';
import ts from 'typescript';

const parse = (path) => ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.Latest, true);
const isInternal = (node) => ts.getJSDocTags(node).some((t) => t.tagName.text === 'internal');
const isExported = (node) => node.modifiers?.some((m) => m.kind === ts.SyntaxKind.ExportKeyword);

function libraryNames() {
  const lib = new URL('../node_modules/typescript/lib/', import.meta.url);
  const texts = readdirSync(lib).filter((f) => /^lib\.(es|dom).*\.d\.ts$/.test(f));
  return texts.flatMap((f) =>
    [...readFileSync(new URL(f, lib), 'utf8').matchAll(/^\s+(?:readonly |get |set )?(\w+)\??[(:<]/gm)].map(
      (m) => m[1],
    ),
  );
}

/** @param {URL} src the folder of the sources */
export function internalNames(src) {
  const internal = new Set();
  const open = new Set(libraryNames());
  /** Every member in node, whatever is nested in it. */
  const collect = (node, hidden, isApart) => {
    const isMember =
      ts.isClassElement(node) ||
      ts.isTypeElement(node) ||
      ts.isParameterPropertyDeclaration(node, node.parent);
    const own = hidden || (!isApart && isMember && isInternal(node));
    if (isMember && node.name && ts.isIdentifier(node.name)) (own ? internal : open).add(node.name.text);
    ts.forEachChild(node, (child) => collect(child, own, isApart));
  };
  for (const file of readdirSync(src, { recursive: true }).filter((f) => f.endsWith('.ts'))) {
    const isApart = file.includes('/');
    for (const statement of parse(new URL(file, src).pathname).statements) {
      const isType = ts.isClassDeclaration(statement) || ts.isInterfaceDeclaration(statement);
      if (isType) collect(statement, !isApart && (!isExported(statement) || isInternal(statement)), isApart);
    }
  }
  return [...internal].filter((name) => !open.has(name)).sort();
}
