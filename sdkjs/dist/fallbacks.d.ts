export * from './types/fallbacks.js';
