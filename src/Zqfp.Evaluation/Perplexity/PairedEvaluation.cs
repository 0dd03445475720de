namespace Zqfp.Evaluation;

/// <summary>Two models evaluated side by side on the same windows.</summary>
/// <param name="Reference">The reference's result.</param>
/// <param name="Model">The model's.</param>
/// <param name="Divergence">How far their predictions are apart.</param>
internal sealed record PairedEvaluation(EvaluationResult Reference, EvaluationResult Model, Divergence Divergence);
