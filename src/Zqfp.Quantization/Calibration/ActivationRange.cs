namespace Zqfp.Quantization;

/// <summary>
/// What a layer's inputs range over on the calibration text, as magnitudes of activations before they are rounded. Each token is
/// scaled by the largest of its own magnitudes, so <see cref="TokenMedian"/> over <see cref="Rms"/> says how much of a token's range its
/// usual values fill, and <see cref="Largest"/> over <see cref="ChannelMedian"/> how far the worst channel stands out of the others.
/// </summary>
/// <param name="Largest">The largest of all tokens and channels.</param>
/// <param name="TokenLow">5 % of the tokens have a largest magnitude below it.</param>
/// <param name="TokenMedian">The median over tokens of a token's largest magnitude.</param>
/// <param name="TokenHigh">5 % of the tokens have a largest magnitude above it.</param>
/// <param name="Rms">Root of the mean square of all values.</param>
/// <param name="ChannelMedian">The median over channels of a channel's largest magnitude; 0 where half of them or more never speak.</param>
internal sealed record ActivationRange(float Largest, float TokenLow, float TokenMedian, float TokenHigh, float Rms, float ChannelMedian);
