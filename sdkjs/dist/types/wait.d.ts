/** How long to wait, and a way to stop waiting. Everything that waits takes it. */
export interface Wait {
    signal?: AbortSignal | undefined;
    timeoutMs?: number | undefined;
}
