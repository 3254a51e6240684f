/** The version of this SDK. */
export declare const version = "0.1.0";
