/** Reads a list page by page until its end. @internal */
export async function allPages<T>(
  ask: (cursor: { cursor?: string }) => Promise<{ rows: T[]; cursor?: string | undefined }>,
): Promise<T[]> {
  const all: T[] = [];
  for (let at: { cursor?: string } | undefined = {}; at; ) {
    const { rows, cursor }: { rows: T[]; cursor?: string | undefined } = await ask(at);
    all.push(...rows);
    at = cursor ? { cursor } : undefined;
  }
  return all;
}
