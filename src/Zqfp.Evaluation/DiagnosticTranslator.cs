using Zqfp.CudaOps;
using Zqfp.Numerics;
using Zqfp.OnnxRewriter;
using Zqfp.Tokenizers;

namespace Zqfp.Evaluation;

/// <summary>Turns the coded exceptions of the libraries into diagnostics, in one place.</summary>
internal static class DiagnosticTranslator
{
    /// <summary>Runs <paramref name="job"/>; its coded exceptions come out as <see cref="PipelineException"/>.</summary>
    public static T Run<T>(Func<T> job)
    {
        try
        {
            return job();
        }
        catch (ModelException e)
        {
            throw new PipelineException(e.Code, e.Message, e.File, e);
        }
        catch (TextException e)
        {
            throw new PipelineException(e.Code, e.Message, inner: e);
        }
        catch (QuantizationException e)
        {
            throw new PipelineException(e.Code, e.Message, inner: e);
        }
        catch (OrtException e)
        {
            throw new PipelineException(e.Code, e.Message, inner: e);
        }
        catch (CudaException e)
        {
            // Inside ONNX Runtime's own messages the code has to stand in the text; here it has a place of its own.
            throw new PipelineException(e.Code, e.Message[(e.Code.Length + 2)..], inner: e);
        }
    }
}
