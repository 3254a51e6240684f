/** Why a new token is wanted. */
export type TokenReason = 'initial' | 'expired' | 'rejected';
