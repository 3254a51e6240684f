/** Reads a list page by page until its end. @internal */
export async function allPages<T>(
  ask: (cursor: string | undefined) => Promise<{ rows: T[]; cursor?: string }>,
): Promise<T[]> {
  const all: T[] = [];
  let next: string | undefined;
  do {
    const { rows, cursor } = await ask(next);
    all.push(...rows);
    next = cursor;
  } while (next);
  return all;
}
